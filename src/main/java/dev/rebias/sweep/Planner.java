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
    private final Reference reference;
    private final Preferences device;
    private final boolean errors;
    private final List<LayerPair> layers;
    private final List<Plan.Measured> measured;
    private final Graph floating;
    private final Graph quantized;
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
            List<Plan.Measured> measured) {
        this.reference = reference;
        this.errors = errors;
        this.device = device;
        this.floating = Bridge.over(floating, layers);
        this.quantized = quantized;
        this.layers = layers;
        this.measured = measured;
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
        Measuring measuring = Measuring.of(reference, errors, device, quantized, oneShape, adjusted);
        List<Plan.Measured> measured = layers.stream().map(measuring::measured).toList();
        return new Planner(reference, errors, device, floating, quantized, layers, measured).plan(floatInputs);
    }

    private Plan plan(Map<String, String> floatInputs) {
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
                    add(LayerSteps.addBias(
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
                next.add(LayerSteps.addBias(q.name(), behind, bias, newTensor(quantizedTensors, q.output())));
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
        HostTensor weights = measured.get(index).adjusted().orElseGet(() -> LayerSteps.multiplied(q));
        List<Step> own = new ArrayList<>();
        q.first().flatMap(first -> sums(q, first)).ifPresent(own::add);
        String name = "quantised layer '" + q.name() + "'";
        own.add(q.integers()
                .map(integers -> LayerSteps.integerLayer(
                        name, q, integers, weights, quantizedTensors.get(integers.data()), output))
                .orElseGet(() -> LayerSteps.layer(
                        name, Step.Purpose.QUANTIZED, q.op(), weights, quantizedTensors.get(q.data()), output)));
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
        add(LayerSteps.layer(name, Step.Purpose.ERROR, f.op(), LayerSteps.weights(f), between, carried));
        int sum = tensors++;
        add(LayerSteps.sum(name, Step.Purpose.ERROR, own, carried, sum));
        return sum;
    }

    /** The error that one node's weights make. */
    private int error(String name, WeightError weights, Optional<Layer.Integers> integers, String data) {
        int output = tensors++;
        int input = quantizedTensors.get(integers.map(Layer.Integers::data).orElse(data));
        add(LayerSteps.error(name, weights, input, output));
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
        return q.integers()
                .map(integers -> LayerSteps.firstSums(
                        q.name(),
                        first,
                        quantizedTensors.get(first.integers().orElseThrow().data()),
                        newTensor(quantizedTensors, integers.data())));
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
                    String name = "float layer '" + f.name() + "'";
                    add(LayerSteps.layer(name, Step.Purpose.FLOAT, f.op(), LayerSteps.weights(f), data, sum));
                });
                floatProducers.put(f.output(), () -> {
                    int sum = floatTensor(withoutBias(f));
                    add(LayerSteps.addBias(f, sum, newTensor(floatTensors, f.output())));
                });
            } else if (!joined.contains(node)) {
                Runnable producer = () -> {
                    node.inputs().stream().filter(floating::isVariable).forEach(this::floatTensor);
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
        return node.inputs().stream().filter(quantized::isVariable).findFirst().orElseThrow();
    }

    private Step.Run run(String model, Node node, Graph graph, Map<String, Integer> names) {
        List<Operand> operands = new ArrayList<>();
        List<Integer> inputs = new ArrayList<>();
        for (String input : node.inputs()) {
            if (input.isEmpty()) {
                operands.add(new Operand.Absent());
            } else if (graph.isVariable(input)) {
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

    private void add(Step step) {
        steps.computeIfAbsent(level, k -> new ArrayList<>()).add(step);
    }
}
