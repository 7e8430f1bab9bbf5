package dev.rebias.sweep;

import dev.rebias.device.Method;
import dev.rebias.device.Operand;
import dev.rebias.device.Preferences;
import dev.rebias.device.WeightError;
import dev.rebias.measure.Role;
import dev.rebias.model.Bridge;
import dev.rebias.model.Graph;
import dev.rebias.model.Layer;
import dev.rebias.model.LayerPair;
import dev.rebias.model.Node;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerOp;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.Op;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Predicate;

/**
 * Makes the plan of a sweep. A tensor's level is the number of barriers before it can exist with all corrections in it:
 * an output of a corrected layer is one level above its input. The steps of one level are a segment, so layers that
 * don't depend on each other share a barrier. Float nodes run just before the first layer that needs them, or all in
 * the first segment where only means are wanted; nodes that no layer needs do not run at all. A layer of which errors
 * are computed may run in its own segment and in the next: see {@code runsAgain}.
 */
public final class Planner {
    private static final Set<String> POOLS = Set.of("GlobalAveragePool", "GlobalMaxPool", "ReduceMean");

    private final Reference reference;
    private final Predicate<LayerPair> adjusted;
    private final Preferences device;
    private final boolean errors;
    private final boolean oneShape;
    private final List<Plan.Measured> measured = new ArrayList<>();
    private final List<LayerPair> layers;
    private final Graph floating;
    private final Graph quantized;
    private final Set<String> pooled;
    private int tensors;
    private final Map<String, Integer> quantizedTensors = new HashMap<>();
    private final Map<String, Integer> floatTensors = new HashMap<>();
    private final Map<String, Runnable> floatProducers = new HashMap<>();
    private final TreeMap<Integer, List<Step>> steps = new TreeMap<>();
    private final TreeMap<Integer, List<Plan.Solved>> solved = new TreeMap<>();
    private final Set<String> neededByLayers = new HashSet<>();
    /** The tensors that are corrected biases: the same for all batches, and not theirs to release. */
    private final Set<Integer> biases = new HashSet<>();
    /** By the node behind a layer's output quantiser that adds its bias, the tensor of that bias. */
    private final IdentityHashMap<Node, Integer> biasesBehind = new IdentityHashMap<>();

    private int level;

    private Planner(
            Reference reference,
            boolean errors,
            Preferences device,
            Graph floating,
            Graph quantized,
            List<LayerPair> layers,
            boolean oneShape,
            Predicate<LayerPair> adjusted) {
        this.adjusted = adjusted;
        this.reference = reference;
        this.errors = errors;
        this.oneShape = oneShape;
        this.device = device;
        this.floating = Bridge.over(floating, layers);
        this.quantized = quantized;
        this.layers = layers;
        this.pooled = pooled(quantized);
    }

    /** Plans a sweep that changes no weights; parameters as below. */
    public static Plan plan(
            Reference reference,
            boolean errors,
            Preferences device,
            Graph floating,
            Graph quantized,
            Map<String, String> floatInputs,
            List<LayerPair> layers,
            boolean oneShape) {
        return plan(reference, errors, device, floating, quantized, floatInputs, layers, oneShape, pair -> false);
    }

    /**
     * Plans a sweep.
     *
     * @param errors whether the errors themselves are wanted, or only their means, for which there is a closed form
     * @param device that will run it; it has its preferences
     * @param floatInputs for each input of the float model, the name of the quantised model's input with the same
     *     samples
     * @param layers the layers to be corrected, in the quantised model's graph order
     * @param oneShape whether all samples have one shape; of others the products of inputs are not weighted by sample
     * @param adjusted the layers whose weights are chosen anew
     */
    public static Plan plan(
            Reference reference,
            boolean errors,
            Preferences device,
            Graph floating,
            Graph quantized,
            Map<String, String> floatInputs,
            List<LayerPair> layers,
            boolean oneShape,
            Predicate<LayerPair> adjusted) {
        return new Planner(reference, errors, device, floating, quantized, layers, oneShape, adjusted)
                .plan(floatInputs);
    }

    private Plan plan(Map<String, String> floatInputs) {
        layers.forEach(pair -> measured.add(measured(pair)));
        List<Integer> inputs = new ArrayList<>();
        quantized.inputs().forEach(input -> inputs.add(newTensor(quantizedTensors, input.name())));
        floatInputs.forEach((f, q) -> floatTensors.put(f, quantizedTensors.get(q)));
        if (reference == Reference.NETWORK) {
            planFloat();
        }
        if (reference == Reference.NETWORK && !errors) {
            planReferences();
        }
        planQuantized();
        return new Plan(reference, errors, measured, layers, inputs, Liveness.segments(steps, solved, biases), tensors);
    }

    /**
     * The float network's means depend on no correction: it runs in the first segment, from its inputs to the last
     * layer's.
     */
    private void planReferences() {
        for (int i = 0; i < layers.size(); i++) {
            if (measured.get(i).methods().contains(Method.CLASS_SUMS)) {
                int data = floatData(layers.get(i).floating());
                add(new Step.Measure(i, Role.REFERENCE_INPUT, List.of(data)));
            }
        }
    }

    /**
     * How a layer is measured. In the reference {@code LAYER} mean errors of layers on integers come from sums of
     * these, which are exact: the same bits on every device, for every batch size and division of the samples.
     */
    private Plan.Measured measured(LayerPair pair) {
        WeightError weights = WeightErrors.of(pair.quantized(), pair.floating());
        boolean layer = reference == Reference.LAYER;
        if (adjusted.test(pair)) {
            return new Plan.Measured(List.of(Method.UNFOLDED), weights, Optional.of(multiplied(pair.quantized())));
        }
        if (!errors) {
            return new Plan.Measured(List.of(Method.CLASS_SUMS), weights);
        }
        Method gram = layer ? Method.GRAM : Method.JOINT_GRAM;
        // Products of one position for each sample are more work than its errors.
        boolean onePosition = !layer && pooled.contains(pair.quantized().data());
        if (oneShape && !onePosition && device.prefers(gram, weights)) {
            return new Plan.Measured(List.of(gram), weights);
        }
        boolean ofInput = pair.quantized().first().isEmpty() && device.prefers(Method.ERRORS_OF_INPUT, weights);
        Method all = ofInput ? Method.ERRORS_OF_INPUT : Method.ERRORS;
        return new Plan.Measured(
                layer && weights.dataType().isPresent() ? List.of(Method.CLASS_SUMS, all) : List.of(all), weights);
    }

    /** What a layer's own step multiplies its data by: the weights, or the integers that they are made of. */
    private static HostTensor multiplied(Layer q) {
        double[] weights = q.integers().map(Layer.Integers::steps).orElse(q.weights());
        return HostTensor.of(toFloats(weights), q.weightShape());
    }

    private int newTensor(Map<String, Integer> names, String name) {
        names.put(name, tensors);
        return tensors++;
    }

    private void planQuantized() {
        IdentityHashMap<Node, Integer> layerOfNode = new IdentityHashMap<>();
        Set<Node> joined = Collections.newSetFromMap(new IdentityHashMap<>());
        for (int i = 0; i < layers.size(); i++) {
            Layer layer = layers.get(i).quantized();
            layerOfNode.put(layer.node(), i);
            joined.addAll(layer.nodes().subList(1, layer.nodes().size()));
        }
        neededByLayers.addAll(neededByLayers());
        List<List<Node>> byLevel = byLevel(layerOfNode);
        // Level by level, so that a float node is planned in the first segment that needs it.
        for (level = 0; level < byLevel.size(); level++) {
            for (Node node : byLevel.get(level)) {
                if (layerOfNode.containsKey(node)) {
                    planLayer(layerOfNode.get(node));
                } else if (biasesBehind.containsKey(node)) {
                    int at = quantizedTensors.get(variable(node));
                    add(addBias(
                            node.name(),
                            at,
                            biasesBehind.get(node),
                            newTensor(quantizedTensors, node.outputs().get(0))));
                } else if (!joined.contains(node) && node.outputs().stream().anyMatch(neededByLayers::contains)) {
                    add(run("quantised model", node, quantized, quantizedTensors));
                }
            }
        }
    }

    private List<List<Node>> byLevel(IdentityHashMap<Node, Integer> layerOfNode) {
        Map<String, Integer> levels = new HashMap<>();
        List<List<Node>> byLevel = new ArrayList<>();
        for (Node node : quantized.nodes()) {
            int own = node.inputs().stream()
                    .mapToInt(i -> levels.getOrDefault(i, 0))
                    .max()
                    .orElse(0);
            node.outputs().forEach(o -> levels.putIfAbsent(o, own));
            if (layerOfNode.containsKey(node)) {
                levels.put(layers.get(layerOfNode.get(node)).quantized().output(), own + 1);
            }
            while (byLevel.size() <= own) {
                byLevel.add(new ArrayList<>());
            }
            byLevel.get(own).add(node);
        }
        return byLevel;
    }

    /** The tensors that have one position, for they follow from nothing but what was pooled as a whole. */
    private static Set<String> pooled(Graph quantized) {
        Set<String> pooled = new HashSet<>();
        for (Node node : quantized.nodes()) {
            List<String> variable =
                    node.inputs().stream().filter(i -> isVariable(i, quantized)).toList();
            if (POOLS.contains(node.op().type()) || (!variable.isEmpty() && pooled.containsAll(variable))) {
                pooled.addAll(node.outputs());
            }
        }
        return pooled;
    }

    /** The tensors of the quantised model from which a layer's input follows. */
    private Set<String> neededByLayers() {
        Set<String> needed = new HashSet<>();
        layers.forEach(pair -> needed.add(pair.quantized().data()));
        List<Node> nodes = quantized.nodes();
        for (int i = nodes.size() - 1; i >= 0; i--) {
            if (nodes.get(i).outputs().stream().anyMatch(needed::contains)) {
                needed.addAll(nodes.get(i).inputs());
            }
        }
        return needed;
    }

    /**
     * Whether a layer of which errors are computed runs once more behind the barrier, so that its data wait there and
     * not its output. In the other reference the float layer's output waits too, and memory is passed over no less.
     */
    private boolean runsAgain(int index) {
        return reference == Reference.LAYER
                && layers.get(index).quantized().first().isEmpty()
                && device.prefersRunningAgain(measured.get(index).weights());
    }

    private void planLayer(int index) {
        Layer q = layers.get(index).quantized();
        Layer f = layers.get(index).floating();
        int output = tensors++;
        // Where errors follow from the input, the correction is known before the layer runs.
        boolean computed = measured.get(index).computesErrors();
        boolean runsBehind = !computed || runsAgain(index);
        List<Method> methods = measured.get(index).methods();
        boolean unfolded = methods.contains(Method.UNFOLDED);
        boolean layerInput = (unfolded || methods.contains(Method.ERRORS_OF_INPUT)) && reference == Reference.LAYER;
        if (methods.contains(Method.CLASS_SUMS) || methods.contains(Method.GRAM) || layerInput) {
            add(new Step.Measure(index, Role.INPUT, List.of(quantizedTensors.get(measured(q)))));
        } else if (methods.contains(Method.JOINT_GRAM) || unfolded) {
            add(new Step.Measure(index, Role.INPUTS, List.of(floatData(f), quantizedTensors.get(measured(q)))));
        } else if (methods.contains(Method.ERRORS_OF_INPUT)) {
            int compared = floatTensor(withoutBias(f));
            add(new Step.Measure(index, Role.OUTPUT_AND_INPUT, List.of(compared, quantizedTensors.get(measured(q)))));
        }
        if (computed) {
            quantized(index, output).forEach(this::add);
            int compared = reference == Reference.LAYER ? error(index, q, f) : floatTensor(withoutBias(f));
            add(new Step.Measure(index, Role.OUTPUTS, List.of(compared, output)));
        }
        int bias = -1;
        if (neededByLayers.contains(q.output())) {
            bias = tensors++;
            biases.add(bias);
            int behind = computed && runsBehind ? tensors++ : output;
            List<Step> next = steps.computeIfAbsent(level + 1, k -> new ArrayList<>());
            if (runsBehind) {
                next.addAll(quantized(index, behind));
            }
            if (q.behindQuantiser().isPresent()) {
                quantizedTensors.put(q.output(), behind);
                biasesBehind.put(q.behindQuantiser().get(), bias);
            } else {
                next.add(addBias(q.name(), behind, bias, newTensor(quantizedTensors, q.output())));
            }
        }
        solved.computeIfAbsent(level, k -> new ArrayList<>()).add(new Plan.Solved(index, bias));
    }

    /**
     * The steps that run a layer of the quantised model. No layer runs with its bias: error moments add it in double
     * precision, and the quantised layer's is added together with the correction, in one rounding, so that a corrected
     * model gives the same bits when it is corrected again.
     */
    private List<Step> quantized(int index, int output) {
        Layer q = layers.get(index).quantized();
        HostTensor weights = measured.get(index).adjusted().orElseGet(() -> multiplied(q));
        List<Step> own = new ArrayList<>();
        q.first().flatMap(first -> sums(q, first)).ifPresent(own::add);
        String name = "quantised layer '" + q.name() + "'";
        own.add(q.integers()
                .map(integers -> integerLayer(name, q, integers, weights, output))
                .orElseGet(() ->
                        layer(name, Step.Purpose.QUANTIZED, q.op(), weights, quantizedTensors.get(q.data()), output)));
        return own;
    }

    /**
     * e = op(x', W_f - W_q) + (b_f - b_q): one operation, and nothing large is subtracted. Of two nodes in a row, D and
     * P, it is P_f D_f x - P_q D_q x = (P_f - P_q) D_q x + P_f (D_f - D_q) x, where D_q x is there already.
     */
    private int error(int index, Layer q, Layer f) {
        String name = "error of layer '" + q.name() + "'";
        if (q.first().isEmpty()) {
            return error(name, measured.get(index).weights(), q.integers(), q.data());
        }
        int own = error(name, WeightErrors.own(q, f), q.integers(), q.data());
        Layer.First first = q.first().get();
        int between = error(name, WeightErrors.first(q, f), first.integers(), first.data());
        int carried = tensors++;
        add(layer(
                name,
                Step.Purpose.ERROR,
                f.op(),
                HostTensor.of(toFloats(f.weights()), f.weightShape()),
                between,
                carried));
        int sum = tensors++;
        add(new Step.Run(
                name,
                Step.Purpose.ERROR,
                OnnxOp.add(),
                List.of(new Operand.Variable(), new Operand.Variable()),
                List.of(own, carried),
                List.of(sum)));
        return sum;
    }

    /** The error that one node's weights make. */
    private int error(String name, WeightError weights, Optional<Layer.Integers> integers, String data) {
        int output = tensors++;
        Op op = weights.dataType()
                .<Op>map(type -> new IntegerLayer(weights.op(), type, weights.zero()))
                .orElse(weights.op());
        HostTensor difference = HostTensor.of(toFloats(weights.difference()), weights.shape());
        add(new Step.Run(
                name,
                Step.Purpose.ERROR,
                op,
                List.of(new Operand.Variable(), new Operand.Constant(difference), new Operand.Absent()),
                List.of(quantizedTensors.get(integers.map(Layer.Integers::data).orElse(data))),
                List.of(output)));
        return output;
    }

    /** The tensor that the whole of a layer is applied to: integers where there are such. */
    private static String measured(Layer q) {
        Optional<Layer.Integers> integers =
                q.first().isPresent() ? q.first().get().integers() : q.integers();
        return integers.map(Layer.Integers::data)
                .orElseGet(() -> q.first().map(Layer.First::data).orElse(q.data()));
    }

    /** The sums of integers of a layer's first node, where its second works on them. */
    private Optional<Step> sums(Layer q, Layer.First first) {
        return q.integers().map(integers -> {
            Layer.Integers own = first.integers().orElseThrow();
            return new Step.Run(
                    "first half of quantised layer '" + q.name() + "'",
                    Step.Purpose.QUANTIZED,
                    new IntegerLayer(first.op(), own.type(), own.zero()),
                    List.of(
                            new Operand.Variable(),
                            new Operand.Constant(HostTensor.of(toFloats(own.steps()), first.weightShape())),
                            new Operand.Absent()),
                    List.of(quantizedTensors.get(own.data())),
                    List.of(newTensor(quantizedTensors, integers.data())));
        });
    }

    private void planFloat() {
        IdentityHashMap<Node, Layer> layerOfNode = new IdentityHashMap<>();
        Set<Node> joined = Collections.newSetFromMap(new IdentityHashMap<>());
        for (LayerPair pair : layers) {
            Layer layer = pair.floating();
            layerOfNode.put(layer.node(), layer);
            joined.addAll(layer.nodes().subList(1, layer.nodes().size()));
        }
        for (Node node : floating.nodes()) {
            if (layerOfNode.containsKey(node)) {
                Layer f = layerOfNode.get(node);
                floatProducers.put(withoutBias(f), () -> {
                    int data = floatTensor(f.data());
                    int sum = newTensor(floatTensors, withoutBias(f));
                    add(layer(
                            "float layer '" + f.name() + "'",
                            Step.Purpose.FLOAT,
                            f.op(),
                            HostTensor.of(toFloats(f.weights()), f.weightShape()),
                            data,
                            sum));
                });
                floatProducers.put(f.output(), () -> {
                    int sum = floatTensor(withoutBias(f));
                    add(addBias(f, sum, newTensor(floatTensors, f.output())));
                });
            } else if (!joined.contains(node)) {
                Runnable producer = () -> {
                    node.inputs().stream().filter(i -> isVariable(i, floating)).forEach(this::floatTensor);
                    add(run("float model", node, floating, floatTensors));
                };
                node.outputs().forEach(o -> floatProducers.put(o, producer));
            }
        }
    }

    /** The number of a tensor of the float network, after planning whatever makes it. */
    private int floatTensor(String name) {
        if (!floatTensors.containsKey(name)) {
            floatProducers.get(name).run();
        }
        return floatTensors.get(name);
    }

    /** The tensor of the float network that the whole of a layer is applied to. */
    private int floatData(Layer f) {
        return floatTensor(f.first().map(Layer.First::data).orElse(f.data()));
    }

    private String variable(Node node) {
        return node.inputs().stream()
                .filter(i -> isVariable(i, quantized))
                .findFirst()
                .orElseThrow();
    }

    private static boolean isVariable(String input, Graph graph) {
        return !input.isEmpty() && !graph.constants().containsKey(input);
    }

    private Step.Run run(String model, Node node, Graph graph, Map<String, Integer> names) {
        List<Operand> operands = new ArrayList<>();
        List<Integer> inputs = new ArrayList<>();
        for (String input : node.inputs()) {
            if (input.isEmpty()) {
                operands.add(new Operand.Absent());
            } else if (isVariable(input, graph)) {
                operands.add(new Operand.Variable());
                inputs.add(names.get(input));
            } else {
                operands.add(new Operand.Constant(graph.constants().get(input)));
            }
        }
        List<Integer> outputs = new ArrayList<>();
        node.outputs().stream().filter(o -> !o.isEmpty()).forEach(o -> outputs.add(newTensor(names, o)));
        return new Step.Run(
                "node '" + node.name() + "' of the " + model, Step.Purpose.OTHER, node.op(), operands, inputs, outputs);
    }

    /** The name under which a float layer's output without its bias is known; no tensor of a model can have it. */
    private static String withoutBias(Layer f) {
        return f.output() + "\n";
    }

    private static Step.Run layer(
            String name, Step.Purpose purpose, LayerOp op, HostTensor weights, int data, int output) {
        List<Operand> operands = List.of(new Operand.Variable(), new Operand.Constant(weights), new Operand.Absent());
        return new Step.Run(name, purpose, op, operands, List.of(data), List.of(output));
    }

    private static Step.Run addBias(Layer f, int sum, int output) {
        Operand bias = new Operand.Constant(HostTensor.of(toFloats(f.bias()), f.biasShape()));
        return new Step.Run(
                "bias of float layer '" + f.name() + "'",
                Step.Purpose.OTHER,
                OnnxOp.add(),
                List.of(new Operand.Variable(), bias),
                List.of(sum),
                List.of(output));
    }

    private static Step.Run addBias(String layer, int sum, int bias, int output) {
        return new Step.Run(
                "corrected bias of layer '" + layer + "'",
                Step.Purpose.OTHER,
                OnnxOp.add(),
                List.of(new Operand.Variable(), new Operand.Variable()),
                List.of(sum, bias),
                List.of(output));
    }

    private Step.Run integerLayer(String name, Layer q, Layer.Integers integers, HostTensor steps, int output) {
        List<Operand> operands = List.of(
                new Operand.Variable(),
                new Operand.Constant(steps),
                new Operand.Constant(HostTensor.of(toFloats(integers.scale()), q.channels())));
        IntegerLayer op = new IntegerLayer(q.op(), integers.type(), integers.zero());
        return new Step.Run(
                name,
                Step.Purpose.QUANTIZED,
                op,
                operands,
                List.of(quantizedTensors.get(integers.data())),
                List.of(output));
    }

    private static float[] toFloats(double[] values) {
        float[] out = new float[values.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = (float) values[i];
        }
        return out;
    }

    private void add(Step step) {
        steps.computeIfAbsent(level, k -> new ArrayList<>()).add(step);
    }
}
