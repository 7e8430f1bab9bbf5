package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import com.google.protobuf.ByteString;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A small quantiser: writes a float model as QDQ. Per-tensor scales, which every opset from 10 on has, or from opset 13
 * on a scale per output channel of the weights. Names of layers and their outputs stay.
 */
final class QdqWriter {
    /**
     * How a model is quantised.
     *
     * @param bits of the weights, which are int8 within +-(2^(bits-1) - 1)
     * @param perChannel whether each output channel of the weights has its own scale
     * @param activations whether the data of every layer become uint8, with the ranges that the samples show
     * @param integerBiases whether the bias inputs become int32 with the scale of data times weights; needs quantised
     *     activations
     * @param alternating whether the weights of every second layer stay floats, behind QuantizeLinear and
     *     DequantizeLinear
     */
    record Scheme(int bits, boolean perChannel, boolean activations, boolean integerBiases, boolean alternating) {
        Scheme {
            if (integerBiases && !activations) {
                throw new IllegalArgumentException("an integer bias takes its scale from quantised data");
            }
        }
    }

    private final ModelProto model;
    private final Scheme scheme;
    private final Map<String, NaiveTensor> tensors;
    private final List<NodeProto> nodes = new ArrayList<>();
    private final List<TensorProto> initializers = new ArrayList<>();
    private final Map<String, String> quantizedData = new HashMap<>();
    private final Map<String, Float> dataScales = new HashMap<>();

    private QdqWriter(ModelProto model, Scheme scheme, Map<String, NaiveTensor> samples) {
        this.model = model;
        this.scheme = scheme;
        this.tensors = new NaiveNetwork(model).run(samples);
    }

    /** Weights only. */
    static ModelProto weights(ModelProto model, int bits, Map<String, NaiveTensor> samples) {
        return write(model, new Scheme(bits, false, false, false, true), samples);
    }

    /** Weights, and the data of every layer as uint8, with the ranges that the samples show. */
    static ModelProto weightsAndActivations(ModelProto model, int bits, Map<String, NaiveTensor> samples) {
        return write(model, new Scheme(bits, false, true, false, true), samples);
    }

    static ModelProto write(ModelProto model, Scheme scheme, Map<String, NaiveTensor> samples) {
        return new QdqWriter(model, scheme, samples).write();
    }

    private ModelProto write() {
        List<NodeProto> layers = NaiveCorrection.layers(model);
        int index = 0;
        for (NodeProto node : model.getGraph().getNodeList()) {
            if (!layers.contains(node)) {
                nodes.add(node);
                continue;
            }
            boolean asIntegers = !scheme.alternating() || index % 2 == 0;
            index++;
            NodeProto.Builder layer = node.toBuilder();
            if (scheme.activations()) {
                layer.setInput(0, quantizedData.computeIfAbsent(node.getInput(0), this::data));
            }
            Weights weights = new Weights(node, tensors.get(node.getInput(1)), scheme);
            layer.setInput(1, weights(node, weights, asIntegers));
            boolean constantBias = node.getInputCount() > 2
                    && !node.getInput(2).isEmpty()
                    && new NaiveNetwork(model).constants().containsKey(node.getInput(2));
            if (scheme.integerBiases() && constantBias) {
                layer.setInput(2, bias(node, weights));
            }
            nodes.add(layer.build());
        }
        Set<String> read = new HashSet<>();
        nodes.forEach(n -> read.addAll(n.getInputList()));
        model.getGraph().getOutputList().forEach(o -> read.add(o.getName()));
        GraphProto graph = model.getGraph().toBuilder()
                .clearNode()
                .addAllNode(nodes)
                .clearInitializer()
                .addAllInitializer(model.getGraph().getInitializerList().stream()
                        .filter(t -> read.contains(t.getName()))
                        .toList())
                .addAllInitializer(initializers)
                .build();
        return model.toBuilder().setGraph(graph).build();
    }

    private String data(String tensor) {
        double min = 0;
        double max = 0;
        for (double v : tensors.get(tensor).values()) {
            min = Math.min(min, v);
            max = Math.max(max, v);
        }
        float scale = max > min ? (float) ((max - min) / 255) : 1;
        int zero = (int) Math.max(0, Math.min(255, Math.rint(-min / scale)));
        dataScales.put(tensor, scale);
        String s = scales(tensor + "_scale", new int[0], scale);
        String z = integers(tensor + "_zero", DataType.UINT8, new int[0], zero);
        node("QuantizeLinear", tensor + "_q", List.of(tensor, s, z));
        return node("DequantizeLinear", tensor + "_dq", List.of(tensor + "_q", s, z));
    }

    /**
     * A layer's weights with the axis of their output channels and their scales: one, or one per element of that axis.
     */
    private static final class Weights {
        private final NaiveTensor values;
        private final int axis;
        private final float[] scales;

        Weights(NodeProto layer, NaiveTensor values, Scheme scheme) {
            this.values = values;
            axis = switch (layer.getOpType()) {
                case "Conv" -> 0;
                case "ConvTranspose" -> 1;
                case "Gemm" -> NaiveNetwork.integer(layer, "transB", 0) != 0 ? 0 : 1;
                default -> values.rank() - 1;
            };
            double[] max = new double[scheme.perChannel() ? values.shape()[axis] : 1];
            for (int i = 0; i < values.values().length; i++) {
                int c = channel(i, max.length);
                max[c] = Math.max(max[c], Math.abs(values.values()[i]));
            }
            scales = new float[max.length];
            for (int c = 0; c < max.length; c++) {
                scales[c] = max[c] > 0 ? (float) (max[c] / ((1 << (scheme.bits() - 1)) - 1)) : 1;
            }
        }

        private int channel(int i, int channels) {
            return channels == 1 ? 0 : i / values.span(axis + 1, values.rank()) % channels;
        }

        float scale(int channel) {
            return scales[channel % scales.length];
        }

        int[] quantized() {
            int[] q = new int[values.values().length];
            for (int i = 0; i < q.length; i++) {
                q[i] = (int) Math.rint(values.values()[i] / scales[channel(i, scales.length)]);
            }
            return q;
        }
    }

    private String weights(NodeProto layer, Weights w, boolean asIntegers) {
        String prefix = layer.getOutput(0) + "_w";
        String s = scales(prefix + "_scale", shape(w.scales.length), w.scales);
        String z = integers(prefix + "_zero", DataType.INT8, shape(w.scales.length), new int[w.scales.length]);
        String q = prefix + "_q";
        if (asIntegers) {
            integers(q, DataType.INT8, w.values.shape(), w.quantized());
        } else {
            node("QuantizeLinear", q, List.of(layer.getInput(1), s, z), axis(w.axis));
        }
        return node("DequantizeLinear", prefix + "_dq", List.of(q, s, z), axis(w.axis));
    }

    private String bias(NodeProto layer, Weights w) {
        NaiveTensor b = tensors.get(layer.getInput(2));
        float data = dataScales.get(layer.getInput(0));
        float[] scales = new float[scheme.perChannel() ? b.shape()[b.rank() - 1] : 1];
        int[] q = new int[b.values().length];
        for (int c = 0; c < q.length; c++) {
            scales[c % scales.length] = data * w.scale(c);
            q[c] = (int) Math.rint(b.values()[c] / scales[c % scales.length]);
        }
        String prefix = layer.getOutput(0) + "_b";
        String s = scales(prefix + "_scale", shape(scales.length), scales);
        integers(prefix + "_q", DataType.INT32, b.shape(), q);
        return node("DequantizeLinear", prefix + "_dq", List.of(prefix + "_q", s), axis(b.rank() - 1));
    }

    /** No attribute for per-tensor scales: opset 10 does not know it. */
    private AttributeProto[] axis(int axis) {
        return scheme.perChannel() ? new AttributeProto[] {GraphBuilder.integer("axis", axis)} : new AttributeProto[0];
    }

    private String node(String type, String output, List<String> inputs, AttributeProto... attributes) {
        nodes.add(NodeProto.newBuilder()
                .setOpType(type)
                .setName(output)
                .addAllInput(inputs)
                .addOutput(output)
                .addAllAttribute(List.of(attributes))
                .build());
        return output;
    }

    /** Of scales and zero points of weights and biases. */
    private int[] shape(int channels) {
        return scheme.perChannel() ? new int[] {channels} : new int[0];
    }

    private String scales(String name, int[] shape, float... values) {
        TensorProto.Builder t = TensorProto.newBuilder().setName(name).setDataType(DataType.FLOAT.getNumber());
        for (int d : shape) {
            t.addDims(d);
        }
        for (float v : values) {
            t.addFloatData(v);
        }
        initializers.add(t.build());
        return name;
    }

    private String integers(String name, DataType type, int[] shape, int... values) {
        TensorProto.Builder t = TensorProto.newBuilder().setName(name).setDataType(type.getNumber());
        for (int d : shape) {
            t.addDims(d);
        }
        ByteBuffer raw = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        for (int v : values) {
            if (type == DataType.INT32) {
                raw.putInt(v);
            } else {
                raw.put((byte) v);
            }
        }
        initializers.add(t.setRawData(ByteString.copyFrom(raw.flip())).build());
        return name;
    }
}
