package dev.rebias.sweep;

import dev.rebias.device.Device;
import dev.rebias.device.Operand;
import dev.rebias.model.Graph;
import dev.rebias.model.GraphInput;
import dev.rebias.model.Layer;
import dev.rebias.model.LayerPair;
import dev.rebias.model.Node;
import dev.rebias.model.Pairing;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.OnnxOp;
import dev.rebias.samples.BoundSamples;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Just running a model on a device of rebias, as fast as a sweep would: the same fusion, the same threads, layers on
 * integers where a sweep has them so. What a correction is compared with.
 */
public final class PlainPass {
    private final Map<String, Integer> numbers = new HashMap<>();
    private final List<Step> steps = new ArrayList<>();
    private final Graph graph;

    private PlainPass(Graph graph) {
        this.graph = graph;
    }

    /** How many seconds one pass over all samples takes. */
    public static double seconds(Device device, Graph graph, BoundSamples samples, int batchSize) {
        Plan plan = new PlainPass(graph).plan();
        try (Sweep sweep = new Sweep(plan, device, CorrectionSpec.byMeanErrors(List.of(), false), Long.MAX_VALUE)) {
            long start = System.nanoTime();
            sweep.run(samples, batchSize, (done, total) -> {});
            return (System.nanoTime() - start) / 1e9;
        }
    }

    private int number(String tensor) {
        return numbers.computeIfAbsent(tensor, t -> numbers.size());
    }

    private Plan plan() {
        List<Integer> inputs =
                graph.inputs().stream().map(GraphInput::name).map(this::number).toList();
        IdentityHashMap<Node, Layer> onIntegers = new IdentityHashMap<>();
        for (LayerPair pair : Pairing.of(graph, graph).pairs()) {
            pair.quantized()
                    .integers()
                    .filter(i -> i.type() != ElementType.FLOAT)
                    .ifPresent(i -> onIntegers.put(pair.quantized().node(), pair.quantized()));
        }
        for (Node node : graph.nodes()) {
            if (onIntegers.containsKey(node)) {
                addOnIntegers(node, onIntegers.get(node));
            } else {
                add(node);
            }
        }
        Set<Integer> used = new HashSet<>();
        graph.outputs().forEach(o -> used.add(number(o)));
        Set<Integer> computed = new HashSet<>(numbers.values());
        inputs.forEach(computed::remove);
        List<Step> fused = Fusion.fuse(needed(used), used, computed);
        Set<Integer> later = new HashSet<>();
        List<List<Integer>> releases = new ArrayList<>();
        for (int i = fused.size() - 1; i >= 0; i--) {
            Set<Integer> touched = new HashSet<>(fused.get(i).uses());
            touched.addAll(((Step.Run) fused.get(i)).outputs());
            releases.add(0, touched.stream().filter(later::add).sorted().toList());
        }
        Plan.Segment all = new Plan.Segment(fused, releases, List.of());
        return new Plan(Reference.LAYER, true, List.of(), List.of(), inputs, List.of(all), numbers.size());
    }

    private List<Step> needed(Set<Integer> outputs) {
        Set<Integer> used = new HashSet<>(outputs);
        List<Step> needed = new ArrayList<>();
        for (int i = steps.size() - 1; i >= 0; i--) {
            if (((Step.Run) steps.get(i)).outputs().stream().anyMatch(used::contains)) {
                used.addAll(steps.get(i).uses());
                needed.add(0, steps.get(i));
            }
        }
        return needed;
    }

    private void add(Node node) {
        List<Operand> operands = new ArrayList<>();
        List<Integer> inputs = new ArrayList<>();
        for (String input : node.inputs()) {
            if (input.isEmpty()) {
                operands.add(new Operand.Absent());
            } else if (graph.constants().containsKey(input)) {
                operands.add(new Operand.Constant(graph.constants().get(input)));
            } else {
                operands.add(new Operand.Variable());
                inputs.add(number(input));
            }
        }
        List<Integer> outputs = node.outputs().stream()
                .filter(o -> !o.isEmpty())
                .map(this::number)
                .toList();
        steps.add(new Step.Run(node.name(), Step.Purpose.OTHER, node.op(), operands, inputs, outputs));
    }

    private void addOnIntegers(Node node, Layer layer) {
        Layer.Integers integers = layer.integers().orElseThrow();
        int sum = number(layer.output() + "\n");
        steps.add(new Step.Run(
                node.name(),
                Step.Purpose.OTHER,
                new IntegerLayer(layer.op(), integers.type(), integers.zero()),
                List.of(
                        new Operand.Variable(),
                        new Operand.Constant(HostTensor.of(floats(integers.steps()), layer.weightShape())),
                        new Operand.Constant(HostTensor.of(floats(integers.scale()), layer.channels()))),
                List.of(number(integers.data())),
                List.of(sum)));
        steps.add(new Step.Run(
                node.name() + " bias",
                Step.Purpose.OTHER,
                OnnxOp.add(),
                List.of(
                        new Operand.Variable(),
                        new Operand.Constant(HostTensor.of(floats(layer.bias()), layer.biasShape()))),
                List.of(sum),
                List.of(number(node.outputs().get(0)))));
    }

    private static float[] floats(double[] values) {
        float[] out = new float[values.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = (float) values[i];
        }
        return out;
    }
}
