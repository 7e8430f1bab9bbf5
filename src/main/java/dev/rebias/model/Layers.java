package dev.rebias.model;

import dev.rebias.op.Convolution;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerOp;
import dev.rebias.op.OnnxOp;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.IntToDoubleFunction;

/** Finds a graph's layers, and what follows each. */
final class Layers {
    /** The name of an Add that rebias itself put behind a MatMul ends with this. */
    static final String INSERTED_ADD = "/bias_correction";

    /** The furthest that an 8-bit value can be from its zero point. */
    private static final double MAX_STEPS = 255;

    private final Graph graph;
    private final Map<String, List<Node>> consumers;
    private final Map<String, Node> producers = new HashMap<>();
    private final ChannelSteps steps;

    Layers(Graph graph) {
        this.graph = graph;
        this.consumers = graph.consumers();
        graph.nodes().forEach(n -> n.outputs().forEach(o -> producers.put(o, n)));
        this.steps = new ChannelSteps(graph, producers);
    }

    /** The layers in graph order, each its node alone. */
    List<Layer> all() {
        List<Layer> layers = new ArrayList<>();
        for (Node node : graph.nodes()) {
            if (node.op() instanceof LayerOp op && !graph.joinedToNext().contains(node.name())) {
                String weights = node.inputs().get(1);
                long[] shape = graph.constants().get(weights).shape();
                double[] bias =
                        node.inputs().size() > 2 ? graph.doubles(node.inputs().get(2)) : new double[op.channels(shape)];
                Optional<Layer.First> first = first(node.inputs().get(0));
                layers.add(new Layer(
                        node.name(),
                        op,
                        node.inputs().get(0),
                        shape,
                        graph.doubles(weights),
                        first.isPresent()
                                ? behindFirst(first.get(), op, node.inputs().get(0), weights, shape)
                                : integers(op, node.inputs().get(0), weights, shape),
                        bias,
                        first,
                        node.outputs().get(0),
                        node.fileOutput(),
                        List.of(node),
                        Optional.empty()));
            }
        }
        return layers;
    }

    /** The node that makes a layer's data, where it is part of the layer. */
    private Optional<Layer.First> first(String data) {
        Node node = producers.get(data);
        if (node == null || !graph.joinedToNext().contains(node.name())) {
            return Optional.empty();
        }
        Convolution op = (Convolution) node.op();
        String weights = node.inputs().get(1);
        long[] shape = graph.constants().get(weights).shape();
        Optional<Layer.Integers> integers = integers(op, node.inputs().get(0), weights, shape)
                .filter(i -> Arrays.stream(i.scale()).distinct().count() == 1);
        return Optional.of(new Layer.First(op, node.inputs().get(0), shape, graph.doubles(weights), integers));
    }

    /** The integers of a layer whose data are the sums of a first node's integers. */
    private Optional<Layer.Integers> behindFirst(
            Layer.First first, LayerOp op, String data, String weights, long[] shape) {
        Dequantized w = graph.dequantized().get(weights);
        if (w == null || first.integers().isEmpty()) {
            return Optional.empty();
        }
        double[] most = new double[Math.toIntExact(first.weightShape()[0])];
        double[] firstSteps = first.integers().get().steps();
        for (int i = 0; i < firstSteps.length; i++) {
            most[i / (firstSteps.length / most.length)] += MAX_STEPS * Math.abs(firstSteps[i]);
        }
        String integers = data + "\n";
        return scaled(op, w, shape, first.integers().get().scale()[0], i -> most[i % most.length])
                .map(scale -> new Layer.Integers(
                        integers,
                        ElementType.FLOAT,
                        0,
                        w.steps(),
                        first.integers().get().scale()[0],
                        scale));
    }

    /** Data and weights as integers, where both are made from such, the data with one scale for all. */
    private Optional<Layer.Integers> integers(LayerOp op, String data, String weights, long[] weightShape) {
        Dequantized w = graph.dequantized().get(weights);
        Node producer = producers.get(data);
        if (w == null || producer == null) {
            return Optional.empty();
        }
        return switch (producer.op().type()) {
            case "DequantizeLinear" -> dequantized(op, producer, w, weightShape);
            case "Mul" -> scaledPixels(op, producer, w, weightShape);
            default -> Optional.empty();
        };
    }

    /**
     * Of data that are a tensor times one constant, that tensor: pixels of an image mostly, which are integers, so that
     * their sums are exact; and where they are none, it makes no difference.
     */
    private Optional<Layer.Integers> scaledPixels(LayerOp op, Node multiply, Dequantized w, long[] weightShape) {
        for (int i = 0; i < 2; i++) {
            HostTensor factor = graph.constants().get(multiply.inputs().get(i));
            // One of more dimensions could add some to the tensor.
            if (factor != null && factor.elements() == 1 && factor.rank() <= 1 && factor.type() == ElementType.FLOAT) {
                String pixels = multiply.inputs().get(1 - i);
                float one = factor.floats().get(0);
                return scaled(op, w, weightShape, one, k -> MAX_STEPS)
                        .map(scale -> new Layer.Integers(pixels, ElementType.FLOAT, 0, w.steps(), one, scale));
            }
        }
        return Optional.empty();
    }

    private Optional<Layer.Integers> dequantized(LayerOp op, Node dequantize, Dequantized w, long[] weightShape) {
        HostTensor dataScale = graph.constants().get(dequantize.inputs().get(1));
        HostTensor zero = dequantize.inputs().size() < 3
                ? null
                : graph.constants().get(dequantize.inputs().get(2));
        // Without a zero point the type of the integers is not known here; such nodes are rare, and run dequantised.
        if (dataScale == null
                || dataScale.elements() != 1
                || zero == null
                || zero.elements() != 1
                || !(zero.type() == ElementType.UINT8 || zero.type() == ElementType.INT8)) {
            return Optional.empty();
        }
        byte bits = zero.bytes().get(0);
        long zeroPoint = zero.type() == ElementType.UINT8 ? Byte.toUnsignedInt(bits) : bits;
        float one = dataScale.floats().get(0);
        return scaled(op, w, weightShape, one, i -> MAX_STEPS)
                .map(scale ->
                        new Layer.Integers(dequantize.inputs().get(0), zero.type(), zeroPoint, w.steps(), one, scale));
    }

    /**
     * The data's scale times the weights', per output channel, where there is one for each and the sums of integers are
     * exact.
     *
     * @param most how large the integer can be that the weight at that position meets
     */
    private static Optional<double[]> scaled(
            LayerOp op, Dequantized w, long[] weightShape, double dataScale, IntToDoubleFunction most) {
        int axis = op.weightChannelAxis(weightShape.length);
        int inner = Math.toIntExact(Shape.elements(weightShape, axis + 1, weightShape.length));
        double[] scale = new double[op.channels(weightShape)];
        double[] steps = w.steps();
        double[] reach = new double[scale.length];
        for (int i = 0; i < steps.length; i++) {
            // Where the weights are scaled along another axis than the output channels, there is no factor per channel.
            int c = i / inner % Math.toIntExact(weightShape[axis]);
            double factor = w.scale(i) * dataScale;
            if (scale[c] != 0 && scale[c] != factor) {
                return Optional.empty();
            }
            scale[c] = factor;
            reach[c] += most.applyAsDouble(i) * Math.abs(steps[i]);
        }
        boolean exact = Arrays.stream(reach).allMatch(r -> r < IntegerLayer.EXACT);
        return exact && weightShape[axis] == scale.length ? Optional.of(scale) : Optional.empty();
    }

    /** The node that uses a tensor, if there is just one and the tensor is not an output of the model. */
    private Optional<Node> onlyConsumer(String tensor) {
        List<Node> nodes = consumers.getOrDefault(tensor, List.of());
        return nodes.size() == 1 && !graph.outputs().contains(tensor) ? Optional.of(nodes.get(0)) : Optional.empty();
    }

    private Optional<Node> onlyConsumer(String tensor, String type) {
        return onlyConsumer(tensor)
                .filter(n -> n.op() instanceof OnnxOp && n.op().type().equals(type));
    }

    /** The dequantised form of a tensor that goes into a quantiser and nowhere else. */
    private Optional<String> behindQuantiser(String tensor) {
        return onlyConsumer(tensor, "QuantizeLinear")
                .flatMap(q -> onlyConsumer(q.outputs().get(0), "DequantizeLinear"))
                .map(dq -> dq.outputs().get(0));
    }

    private static final Set<String> ROUNDING = Set.of("Round", "Ceil", "Floor");

    /** A step of the chain behind a layer; {@code quantised} where a quantiser lies between. */
    record Link(ChannelStep step, boolean quantised) {}

    /**
     * What scales and shifts a layer's output per channel, each the only reader of the one before; quantisers in
     * between are passed over.
     */
    List<Link> chain(Layer layer) {
        List<Link> chain = new ArrayList<>();
        int behind = Math.max(0, layer.weightShape().length - 2);
        String tensor = layer.output();
        boolean quantised = false;
        while (true) {
            String input = tensor;
            Optional<String> dequantised = behindQuantiser(tensor);
            Optional<ChannelStep> step =
                    onlyConsumer(tensor).flatMap(node -> steps.of(node, input, layer.channels(), behind));
            if (dequantised.isPresent()) {
                quantised = true;
                tensor = dequantised.get();
            } else if (step.isPresent()) {
                chain.add(new Link(step.get(), quantised));
                tensor = step.get().output();
            } else {
                dropQuantiser(chain, tensor);
                return chain;
            }
        }
    }

    /**
     * In front of a node that rounds, what treats all channels alike is a quantiser's step and offset, and none of the
     * layer's.
     */
    private void dropQuantiser(List<Link> chain, String end) {
        boolean rounded = onlyConsumer(end)
                .filter(node -> ROUNDING.contains(node.op().type()))
                .isPresent();
        while (rounded && !chain.isEmpty() && chain.get(chain.size() - 1).step().isUniform()) {
            chain.remove(chain.size() - 1);
        }
    }

    /** The spatial size of a layer's data as far as the model says it, 0 for each dimension where it does not. */
    List<Long> spatialSize(Layer layer) {
        int spatial = Math.max(0, layer.weightShape().length - 2);
        return graph.inputs().stream()
                .filter(input -> input.name().equals(layer.data()) && input.shape().length == spatial + 2)
                .findFirst()
                .map(input -> Arrays.stream(input.shape())
                        .skip(2)
                        .map(d -> Math.max(0, d))
                        .boxed()
                        .toList())
                .orElse(Collections.nCopies(spatial, 0L));
    }

    /** What makes a layer's data, as far as it is read with the layer, up to nodes that belong to other layers. */
    Inlet inlet(Layer layer, Set<Node> taken) {
        return new InletReader(graph, producers, steps, taken).read(layer);
    }

    /** A layer together with steps behind it. */
    static Layer with(Layer layer, List<ChannelStep> chain) {
        if (chain.isEmpty()) {
            return layer;
        }
        double[] bias = layer.bias().clone();
        double[] gain = new double[bias.length];
        Arrays.fill(gain, 1);
        List<Node> nodes = new ArrayList<>(layer.nodes());
        for (ChannelStep step : chain) {
            for (int c = 0; c < bias.length; c++) {
                bias[c] = step.apply(bias[c], c);
                gain[c] *= step.scale()[c];
            }
            nodes.add(step.node());
        }
        boolean scaled = Arrays.stream(gain).anyMatch(g -> g != 1);
        ChannelStep last = chain.get(chain.size() - 1);
        return new Layer(
                layer.name(),
                layer.op(),
                layer.data(),
                layer.weightShape(),
                scaled ? WeightRows.of(layer.op(), layer.weightShape()).scaled(layer.weights(), gain) : layer.weights(),
                scaled ? layer.integers().map(i -> i.scaled(gain)) : layer.integers(),
                bias,
                layer.first(),
                last.output(),
                scaled ? last.node().fileOutput() : layer.fileOutput(),
                nodes,
                last.stored());
    }

    /** A layer whose bias is added behind its output's quantiser. */
    static Layer withBiasBehindQuantiser(Layer layer, ChannelStep add) {
        double[] bias = layer.bias().clone();
        for (int c = 0; c < bias.length; c++) {
            bias[c] = add.apply(bias[c], c);
        }
        return new Layer(
                layer.name(),
                layer.op(),
                layer.data(),
                layer.weightShape(),
                layer.weights(),
                layer.integers(),
                bias,
                layer.first(),
                layer.output(),
                layer.fileOutput(),
                layer.nodes(),
                add.stored());
    }
}
