package dev.rebias.model;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.Attributes;
import dev.rebias.op.BiasGrid;
import dev.rebias.op.MatMul;
import dev.rebias.tensor.ElementType;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** Finds the {@link BiasSite} of every layer of a quantised model. */
public final class BiasSites {
    /** What {@link #storage} says of a layer that has no bias. */
    public static final String NONE = "none";

    private final OnnxModel model;
    private final GraphProto graph;
    private final ExternalData external;
    private final Map<String, Integer> producers = new HashMap<>();
    private final Map<String, Integer> initializers = new HashMap<>();
    private final Map<String, Integer> uses = new HashMap<>();

    public BiasSites(OnnxModel model) {
        this.model = model;
        this.graph = model.proto().getGraph();
        this.external = new ExternalData(model);
        for (int i = 0; i < graph.getNodeCount(); i++) {
            NodeProto node = graph.getNode(i);
            for (String output : node.getOutputList()) {
                producers.put(output, i);
            }
            node.getInputList().forEach(this::use);
            Captures.of(node).forEach(this::use);
        }
        for (int i = 0; i < graph.getInitializerCount(); i++) {
            initializers.put(graph.getInitializer(i).getName(), i);
        }
        graph.getOutputList().forEach(o -> use(o.getName()));
    }

    private void use(String tensor) {
        uses.merge(tensor, 1, Integer::sum);
    }

    /** What messages call the model. */
    public String name() {
        return model.name();
    }

    OnnxModel model() {
        return model;
    }

    /** Why no bias can be written for this layer, or empty if one can. */
    public Optional<String> obstacle(Layer layer) {
        boolean none = layer.apart().isEmpty()
                && graph.getNode(layer.node().fileIndex()).getOpType().equals("QLinearMatMul");
        return none
                ? Optional.of("QLinearMatMul has no bias, and an Add behind it would work on quantised values")
                : Optional.empty();
    }

    /** The values that the layer's bias can take in the file. */
    public BiasGrid grid(Layer layer) {
        return find(layer).grid();
    }

    /**
     * How the layer's bias is stored: {@code float}, {@code float16}, {@code bfloat16}, an integer type as
     * {@code int32}, or {@link #NONE}.
     */
    public String storage(Layer layer) {
        BiasSite site = find(layer);
        if (site instanceof BiasSite.Absent || site instanceof BiasSite.NewAdd) {
            return NONE;
        }
        if (site instanceof BiasSite.StoredIntegers integers) {
            return typeName(tensor(integers.tensor()));
        }
        if (site instanceof BiasSite.Requantized requantized) {
            return "float through " + typeName(zeroPoint(graph.getNode(requantized.dequantizer())));
        }
        return floatType(layer).name().toLowerCase(Locale.ROOT);
    }

    /** A stored tensor's type in lower case; UINT8, the default of a quantiser's zero point, where there is none. */
    private static String typeName(Optional<TensorProto> tensor) {
        return tensor.flatMap(t -> ElementType.ofOnnxCode(t.getDataType()))
                .orElse(ElementType.UINT8)
                .name()
                .toLowerCase(Locale.ROOT);
    }

    private Optional<TensorProto> zeroPoint(NodeProto quantizer) {
        return hasInput(quantizer, 2) ? tensor(quantizer.getInput(2)) : Optional.empty();
    }

    BiasSite find(Layer layer) {
        int index = layer.node().fileIndex();
        NodeProto node = graph.getNode(index);
        if (layer.apart().isPresent()) {
            return apart(layer, layer.apart().get());
        }
        if (QOperators.TYPES.contains(node.getOpType())) {
            return inQOperator(layer, index, node);
        }
        if (layer.op() instanceof MatMul) {
            return new BiasSite.NewAdd(index, floatGrid(floatType(layer).getNumber()));
        }
        float beta = node.getOpType().equals("Gemm") ? Attributes.real(node, "beta", 1) : 1;
        return hasInput(node, 2)
                ? stored(layer, index, 2, beta)
                : new BiasSite.Absent(index, 2, floatGrid(floatType(layer).getNumber()));
    }

    static boolean hasInput(NodeProto node, int input) {
        return node.getInputCount() > input && !node.getInput(input).isEmpty();
    }

    /** In the constant of an Add or Sub: a value for each channel, or one for all, which makes room for as many. */
    private BiasSite apart(Layer layer, Layer.Apart apart) {
        int index = apart.node().fileIndex();
        NodeProto node = graph.getNode(index);
        if (!node.getOpType().equals(QOperators.ADD)) {
            return stored(layer, index, apart.operand(), apart.sign());
        }
        int input = QOperators.addOperand(apart.operand());
        TensorProto values = tensor(node.getInput(input)).orElseThrow();
        long[] stored = StoredTensor.integers(values).orElseThrow();
        long[] old = new long[layer.channels()];
        for (int c = 0; c < old.length; c++) {
            old[c] = stored[stored.length == 1 ? 0 : c];
        }
        float[] steps = spread(floats(node, input + 1), layer.channels(), 1);
        ElementType type = ElementType.ofOnnxCode(values.getDataType()).orElseThrow();
        return new BiasSite.StoredIntegers(index, input, node.getInput(input), -1, grid(steps, old, type));
    }

    private BiasSite stored(Layer layer, int node, int input, float beta) {
        String tensor = graph.getNode(node).getInput(input);
        Optional<TensorProto> own = tensor(tensor);
        if (own.isPresent()) {
            boolean each = StoredTensor.floats(own.get()).length == layer.channels();
            BiasGrid grid = floatGrid(own.get().getDataType());
            return each || layer.apart().isEmpty()
                    ? new BiasSite.Stored(node, input, tensor, grid)
                    : new BiasSite.Computed(node, input, grid);
        }
        int producer = producers.get(tensor);
        NodeProto dequantize = graph.getNode(producer);
        if (dequantize.getOpType().equals("DequantizeLinear")) {
            Optional<BiasSite> site =
                    scaled(dequantize).flatMap(scale -> dequantized(layer, node, input, producer, scale, beta));
            if (site.isPresent()) {
                return site.get();
            }
        }
        return new BiasSite.Computed(node, input, floatGrid(floatType(layer).getNumber()));
    }

    /**
     * The values that a bias of that type of floats can take. Steps of BFLOAT16 are the writer's to round to: it has a
     * float's range.
     */
    private static BiasGrid floatGrid(int type) {
        return type == TensorProto.DataType.FLOAT16.getNumber() ? BiasGrid.FLOAT16 : BiasGrid.FLOAT;
    }

    private Optional<TensorProto> scaled(NodeProto quantizer) {
        return tensor(quantizer.getInput(1))
                .filter(t -> t.getDataType() == TensorProto.DataType.FLOAT.getNumber() || StoredTensor.isHalf(t));
    }

    /**
     * The bias behind a DequantizeLinear: stored integers, or stored floats that a QuantizeLinear of the same scale
     * makes integers of.
     */
    private Optional<BiasSite> dequantized(
            Layer layer, int node, int input, int dequantizer, TensorProto scaleTensor, float beta) {
        NodeProto dequantize = graph.getNode(dequantizer);
        float[] scale = StoredTensor.floats(scaleTensor);
        if (scale.length != 1 && scale.length != layer.channels()) {
            return Optional.empty();
        }
        float[] steps = spread(scale, layer.channels(), beta);
        Optional<TensorProto> values = tensor(dequantize.getInput(0));
        Optional<long[]> integers = values.flatMap(StoredTensor::integers).filter(v -> v.length == layer.channels());
        if (integers.isPresent()) {
            ElementType type =
                    ElementType.ofOnnxCode(values.get().getDataType()).orElseThrow();
            BiasGrid grid = grid(steps, integers.get(), type);
            return Optional.of(new BiasSite.StoredIntegers(node, input, dequantize.getInput(0), dequantizer, grid));
        }
        int quantizer = producers.getOrDefault(dequantize.getInput(0), -1);
        if (quantizer < 0 || !graph.getNode(quantizer).getOpType().equals("QuantizeLinear")) {
            return Optional.empty();
        }
        NodeProto quantize = graph.getNode(quantizer);
        Optional<TensorProto> floats = tensor(quantize.getInput(0))
                .filter(t -> t.getDataType() == TensorProto.DataType.FLOAT.getNumber()
                        && StoredTensor.floats(t).length == layer.channels());
        boolean sameScale = scaled(quantize)
                .filter(s -> Arrays.equals(StoredTensor.floats(s), scale))
                .isPresent();
        Optional<TensorProto> zero = zeroPoint(dequantize);
        if (floats.isEmpty() || !sameScale || !zeroPoint(quantize).equals(zero)) {
            return Optional.empty();
        }
        ElementType type =
                zero.flatMap(z -> ElementType.ofOnnxCode(z.getDataType())).orElse(ElementType.UINT8);
        long[] zeros = zero.flatMap(StoredTensor::integers).orElse(new long[1]);
        long[] old = new long[layer.channels()];
        for (int c = 0; c < old.length; c++) {
            old[c] = Math.round(layer.bias()[c] / steps[c]) + zeros[zeros.length == 1 ? 0 : c];
        }
        return Optional.of(new BiasSite.Requantized(
                node, input, quantize.getInput(0), quantizer, dequantizer, grid(steps, old, type)));
    }

    /** Steps in which integers may move without leaving their type. */
    private static BiasGrid grid(float[] steps, long[] values, ElementType type) {
        double[] lowest = new double[values.length];
        double[] highest = new double[values.length];
        for (int c = 0; c < values.length; c++) {
            lowest[c] = Math.min(0, type.lowest() - (double) values[c]);
            highest[c] = Math.max(0, type.highest() - (double) values[c]);
        }
        return new BiasGrid(BiasGrid.Form.STEPS, steps, lowest, highest);
    }

    private BiasSite inQOperator(Layer layer, int index, NodeProto node) {
        float alpha = node.getOpType().equals("QGemm") ? Attributes.real(node, "alpha", 1) : 1;
        float[] dataScale = floats(node, 1);
        float[] steps = spread(floats(node, 4), layer.channels(), dataScale[0] * alpha);
        int input = QOperators.biasInput(node.getOpType());
        if (!hasInput(node, input)) {
            return new BiasSite.Absent(index, input, grid(steps, new long[steps.length], ElementType.INT32));
        }
        String tensor = node.getInput(input);
        long[] old = tensor(tensor)
                .flatMap(StoredTensor::integers)
                .filter(v -> v.length == layer.channels())
                .orElseThrow(() -> new UnsupportedException("the int32 bias '" + tensor + "' of layer '" + layer.name()
                        + "' is not stored with one value for each of its " + layer.channels()
                        + " channels; rebias needs it so"));
        return new BiasSite.StoredIntegers(index, input, tensor, -1, grid(steps, old, ElementType.INT32));
    }

    private float[] floats(NodeProto node, int input) {
        return tensor(node.getInput(input))
                .map(StoredTensor::floats)
                .orElseThrow(() -> new UnsupportedException(
                        "node '" + node.getName() + "' (" + node.getOpType() + ") of '" + model.name()
                                + "' has a computed scale '" + node.getInput(input) + "'; rebias needs it stored"));
    }

    private static float[] spread(float[] scale, int channels, float factor) {
        float[] steps = new float[channels];
        for (int c = 0; c < channels; c++) {
            steps[c] = scale[scale.length == 1 ? 0 : c] * factor;
        }
        return steps;
    }

    /** The type of floats that a layer works with: that of its weights, or of what they are dequantised to. */
    TensorProto.DataType floatType(Layer layer) {
        String tensor = graph.getNode(layer.node().fileIndex()).getInput(1);
        while (tensor(tensor).isEmpty() && producers.containsKey(tensor)) {
            NodeProto producer = graph.getNode(producers.get(tensor));
            if (producer.getInputCount() == 0) {
                break;
            }
            if (producer.getOpType().equals("Cast")) {
                return TensorProto.DataType.forNumber((int) Attributes.integer(producer, "to", 1));
            }
            // The scale of a DequantizeLinear has the type that it makes.
            tensor = producer.getInput(producer.getOpType().equals("DequantizeLinear") ? 1 : 0);
        }
        return tensor(tensor)
                .filter(StoredTensor::isHalf)
                .map(t -> TensorProto.DataType.forNumber(t.getDataType()))
                .orElse(TensorProto.DataType.FLOAT);
    }

    /** How often a tensor is used: by nodes, by subgraphs, as an output of the model. */
    int uses(String tensor) {
        return uses.getOrDefault(tensor, 0);
    }

    boolean isTaken(String name) {
        return producers.containsKey(name)
                || initializers.containsKey(name)
                || uses.containsKey(name)
                || graph.getInputList().stream().anyMatch(i -> i.getName().equals(name));
    }

    /** The position of a tensor among the initializers, or -1. */
    int initializer(String tensor) {
        return initializers.getOrDefault(tensor, -1);
    }

    /** The position of the node that makes a tensor. */
    int producer(String tensor) {
        return producers.get(tensor);
    }

    /** A tensor that an initializer or a Constant node stores, with its bytes loaded. */
    Optional<TensorProto> tensor(String name) {
        if (initializers.containsKey(name)) {
            return Optional.of(external.load(graph.getInitializer(initializers.get(name))));
        }
        return Optional.ofNullable(producers.get(name))
                .map(graph::getNode)
                .filter(n -> n.getOpType().equals("Constant"))
                .flatMap(n -> Attributes.find(n, "value"))
                .map(AttributeProto::getT)
                .map(external::load);
    }
}
