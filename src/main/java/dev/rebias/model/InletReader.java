package dev.rebias.model;

import dev.rebias.op.Attributes;
import dev.rebias.op.Convolution;
import dev.rebias.op.Gemm;
import dev.rebias.op.OnnxOp;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/**
 * Walks from a layer's data back to where they come from, through nodes that pad with zeros, scale or shift per
 * channel, and quantisers.
 */
final class InletReader {
    private final Graph graph;
    private final Map<String, Node> producers;
    private final ChannelSteps steps;
    private final Set<Node> taken;

    private double[] scale = new double[0];
    private double[] shift = new double[0];
    private long[] pads = new long[0];
    private final List<Node> nodes = new ArrayList<>();

    /** @param taken nodes that are read as part of another layer: the walk ends there */
    InletReader(Graph graph, Map<String, Node> producers, ChannelSteps steps, Set<Node> taken) {
        this.graph = graph;
        this.producers = producers;
        this.steps = steps;
        this.taken = taken;
    }

    Inlet read(Layer layer) {
        int spatial = Math.max(0, layer.weightShape().length - 2);
        scale = new double[WeightRows.of(layer.op(), layer.weightShape()).inputs()];
        Arrays.fill(scale, 1);
        shift = new double[scale.length];
        pads = new long[2 * spatial];
        String tensor = layer.data();
        boolean readable =
                !(layer.op() instanceof Gemm g && g.transA()) && layer.first().isEmpty();
        while (readable && producers.containsKey(tensor)) {
            Optional<String> before = before(producers.get(tensor), layer, spatial);
            if (before.isEmpty()) {
                break;
            }
            tensor = before.get();
        }
        Collections.reverse(nodes);
        return new Inlet(tensor, scale, shift, Arrays.stream(pads).boxed().toList(), nodes);
    }

    /** Takes a node up, and gives the tensor before it; empty where the walk ends. */
    private Optional<String> before(Node node, Layer layer, int spatial) {
        if (taken.contains(node) || !(node.op() instanceof OnnxOp)) {
            return Optional.empty();
        }
        String type = node.op().type();
        Optional<String> input =
                node.inputs().stream().filter(graph::isVariable).findFirst();
        if (input.isEmpty()) {
            return Optional.empty();
        }
        if (type.equals("DequantizeLinear") || type.equals("QuantizeLinear")) {
            nodes.add(node);
            return input;
        }
        if (type.equals("Pad")) {
            return padding(node, layer, spatial).map(own -> {
                for (int i = 0; i < pads.length; i++) {
                    pads[i] += own[i];
                }
                nodes.add(node);
                return input.get();
            });
        }
        return steps.of(node, input.get(), scale.length, spatial).map(step -> {
            takeUp(step);
            nodes.add(node);
            return input.get();
        });
    }

    /**
     * data = scale * step(x) + shift. Where it is padded behind, the border stays zero: a shift does not go through the
     * padding, it is in {@link Inlet#shift}.
     */
    private void takeUp(ChannelStep step) {
        for (int c = 0; c < scale.length; c++) {
            shift[c] += scale[c] * step.apply(0, c);
            scale[c] *= step.scale()[c];
        }
    }

    /** How many zeros a Pad puts around the spatial dimensions; empty where it does anything else. */
    private Optional<long[]> padding(Node node, Layer layer, int spatial) {
        OnnxOp op = (OnnxOp) node.op();
        boolean shifted = Arrays.stream(shift).anyMatch(s -> s != 0);
        if (!(layer.op() instanceof Convolution)
                || shifted
                || !Attributes.text(op.node(), "mode", "constant").equals("constant")
                || !padsWithZero(node, op)) {
            return Optional.empty();
        }
        int rank = spatial + 2;
        List<Long> stated = Attributes.integers(op.node(), "pads").orElseGet(() -> longs(node, 1));
        List<Long> axes = node.inputs().size() > 3 && !node.inputs().get(3).isEmpty() ? longs(node, 3) : allAxes(rank);
        if (stated.isEmpty()
                || stated.size() != 2 * axes.size()
                || stated.stream().anyMatch(p -> p < 0)) {
            return Optional.empty();
        }
        List<Long> all = new ArrayList<>(Collections.nCopies(2 * rank, 0L));
        for (int i = 0; i < axes.size(); i++) {
            int axis = Math.toIntExact(axes.get(i) < 0 ? axes.get(i) + rank : axes.get(i));
            all.set(axis, stated.get(i));
            all.set(rank + axis, stated.get(axes.size() + i));
        }
        long[] own = new long[2 * spatial];
        for (int i = 0; i < spatial; i++) {
            own[i] = all.get(i + 2);
            own[spatial + i] = all.get(rank + i + 2);
        }
        boolean spatialOnly = all.get(0) == 0 && all.get(1) == 0 && all.get(rank) == 0 && all.get(rank + 1) == 0;
        return spatialOnly ? Optional.of(own) : Optional.empty();
    }

    private static List<Long> allAxes(int rank) {
        return LongStream.range(0, rank).boxed().toList();
    }

    /** The values of a constant input of integers; none where it is no such. */
    private List<Long> longs(Node node, int input) {
        HostTensor values = node.inputs().size() > input
                ? graph.constants().get(node.inputs().get(input))
                : null;
        if (values == null || values.type() != ElementType.INT64) {
            return List.of();
        }
        return IntStream.range(0, Math.toIntExact(values.elements()))
                .mapToObj(i -> values.longs().get(i))
                .toList();
    }

    /** Whether its value is zero; on quantised data, their zero point. */
    private boolean padsWithZero(Node node, OnnxOp op) {
        if (node.inputs().size() < 3 || node.inputs().get(2).isEmpty()) {
            return Attributes.real(op.node(), "value", 0) == 0 && !padsIntegers(node);
        }
        HostTensor value = graph.constants().get(node.inputs().get(2));
        if (value == null || value.elements() != 1) {
            return false;
        }
        if (value.type() == ElementType.FLOAT) {
            return value.floats().get(0) == 0;
        }
        return zeroPoint(node)
                .filter(zero -> zero.type() == value.type()
                        && zero.bytes().get(0) == value.bytes().get(0))
                .isPresent();
    }

    private boolean padsIntegers(Node node) {
        return !nodes.isEmpty()
                && nodes.get(nodes.size() - 1).op().type().equals("DequantizeLinear")
                && zeroPoint(node).filter(zero -> zero.bytes().get(0) == 0).isEmpty();
    }

    /** The zero point of the DequantizeLinear behind a node. */
    private Optional<HostTensor> zeroPoint(Node node) {
        return nodes.isEmpty()
                ? Optional.empty()
                : Optional.of(nodes.get(nodes.size() - 1))
                        .filter(dq -> dq.op().type().equals("DequantizeLinear")
                                && dq.inputs().get(0).equals(node.outputs().get(0))
                                && dq.inputs().size() > 2)
                        .map(dq -> graph.constants().get(dq.inputs().get(2)))
                        .filter(zero -> zero.elements() == 1
                                && (zero.type() == ElementType.INT8 || zero.type() == ElementType.UINT8));
    }
}
