package dev.rebias.model;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.Attributes;
import dev.rebias.op.MatMul;
import dev.rebias.tensor.ElementType;
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

    /** The size of one step of the layer's bias per channel where it is stored as integers; empty where it is stored as floats. */
    public float[] steps(Layer layer) {
        float[] steps = find(layer).steps().clone();
        for (int c = 0; c < steps.length; c++) {
            steps[c] = Math.abs(steps[c]);
        }
        return steps;
    }

    /** How the layer's bias is stored: {@code float}, {@code int32}, {@code int8}, {@code uint8}, or {@link #NONE}. */
    public String storage(Layer layer) {
        BiasSite site = find(layer);
        if (site instanceof BiasSite.StoredBytes bytes) {
            return bytes.type().name().toLowerCase(Locale.ROOT);
        }
        return site instanceof BiasSite.Absent || site instanceof BiasSite.NewAdd
                ? NONE
                : site.steps().length > 0 ? "int32" : "float";
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
            return new BiasSite.NewAdd(index);
        }
        float beta = node.getOpType().equals("Gemm") ? Attributes.real(node, "beta", 1) : 1;
        return hasInput(node, 2) ? stored(layer, index, 2, beta) : new BiasSite.Absent(index, 2, new float[0]);
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
        return new BiasSite.StoredBytes(
                index,
                input,
                node.getInput(input),
                ElementType.ofOnnxCode(values.getDataType()).orElseThrow(),
                spread(floats(node, input + 1), layer.channels(), 1));
    }

    private BiasSite stored(Layer layer, int node, int input, float beta) {
        String tensor = graph.getNode(node).getInput(input);
        Optional<TensorProto> plain = tensor(tensor);
        if (plain.isPresent()) {
            boolean each = StoredTensor.floats(plain.get()).length == layer.channels();
            return each || layer.apart().isEmpty()
                    ? new BiasSite.Stored(node, input, tensor)
                    : new BiasSite.Computed(node, input);
        }
        int producer = producers.get(tensor);
        NodeProto dequantize = graph.getNode(producer);
        if (dequantize.getOpType().equals("DequantizeLinear")) {
            Optional<TensorProto> values = tensor(dequantize.getInput(0))
                    .filter(t -> t.getDataType() == TensorProto.DataType.INT32.getNumber());
            Optional<TensorProto> scale = tensor(dequantize.getInput(1))
                    .filter(t -> t.getDataType() == TensorProto.DataType.FLOAT.getNumber());
            if (values.isPresent() && scale.isPresent() && StoredTensor.ints(values.get()).length == layer.channels()) {
                float[] steps = spread(StoredTensor.floats(scale.get()), layer.channels(), beta);
                return new BiasSite.StoredInt32(node, input, dequantize.getInput(0), producer, steps);
            }
        }
        return new BiasSite.Computed(node, input);
    }

    private BiasSite inQOperator(Layer layer, int index, NodeProto node) {
        float alpha = node.getOpType().equals("QGemm") ? Attributes.real(node, "alpha", 1) : 1;
        float[] dataScale = floats(node, 1);
        float[] steps = spread(floats(node, 4), layer.channels(), dataScale[0] * alpha);
        int input = QOperators.biasInput(node.getOpType());
        return hasInput(node, input)
                ? new BiasSite.StoredInt32(index, input, node.getInput(input), -1, steps)
                : new BiasSite.Absent(index, input, steps);
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
