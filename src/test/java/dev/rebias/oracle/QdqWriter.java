package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import com.google.protobuf.ByteString;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A small quantiser: writes a float model as QDQ with per-tensor scales, which every opset from 10 on has. Weights are int8, in turn stored as
 * integers behind a DequantizeLinear, or as they were behind QuantizeLinear and DequantizeLinear. Names of layers and their outputs stay.
 */
final class QdqWriter {
    private final ModelProto model;
    private final int bits;
    private final Map<String, NaiveTensor> activations;
    private final List<NodeProto> nodes = new ArrayList<>();
    private final List<TensorProto> initializers = new ArrayList<>();
    private final Map<String, String> quantizedData = new HashMap<>();

    private QdqWriter(ModelProto model, int bits, Map<String, NaiveTensor> activations) {
        this.model = model;
        this.bits = bits;
        this.activations = activations;
    }

    /** Weights only. */
    static ModelProto weights(ModelProto model, int bits, Map<String, NaiveTensor> samples) {
        return new QdqWriter(model, bits, new NaiveNetwork(model).run(samples)).write(false);
    }

    /** Weights, and the data of every layer as uint8, with the ranges that the samples show. */
    static ModelProto weightsAndActivations(ModelProto model, int bits, Map<String, NaiveTensor> samples) {
        return new QdqWriter(model, bits, new NaiveNetwork(model).run(samples)).write(true);
    }

    private ModelProto write(boolean quantizeData) {
        List<NodeProto> layers = NaiveCorrection.layers(model);
        int index = 0;
        for (NodeProto node : model.getGraph().getNodeList()) {
            if (!layers.contains(node)) {
                nodes.add(node);
                continue;
            }
            NodeProto.Builder layer = node.toBuilder();
            if (quantizeData) {
                layer.setInput(0, quantizedData.computeIfAbsent(node.getInput(0), this::data));
            }
            layer.setInput(1, weights(node.getInput(1), node.getOutput(0), index++ % 2 == 0));
            nodes.add(layer.build());
        }
        GraphProto graph = model.getGraph().toBuilder()
                .clearNode()
                .addAllNode(nodes)
                .addAllInitializer(initializers)
                .build();
        return model.toBuilder().setGraph(graph).build();
    }

    private String data(String tensor) {
        double min = 0;
        double max = 0;
        for (double v : activations.get(tensor).values()) {
            min = Math.min(min, v);
            max = Math.max(max, v);
        }
        float scale = max > min ? (float) ((max - min) / 255) : 1;
        String s = scalar(tensor + "_scale", scale);
        String z = zero(tensor + "_zero", TensorProto.DataType.UINT8, (int)
                Math.max(0, Math.min(255, Math.rint(-min / scale))));
        return quantized(tensor, tensor, s, z);
    }

    private String weights(String tensor, String owner, boolean asIntegers) {
        NaiveTensor w = activations.get(tensor);
        double max = 0;
        for (double v : w.values()) {
            max = Math.max(max, Math.abs(v));
        }
        int steps = (1 << (bits - 1)) - 1;
        float scale = (float) (max / steps);
        String s = scalar(owner + "_w_scale", scale);
        String z = zero(owner + "_w_zero", TensorProto.DataType.INT8, 0);
        if (!asIntegers) {
            return quantized(tensor, owner + "_w", s, z);
        }
        byte[] q = new byte[w.values().length];
        for (int i = 0; i < q.length; i++) {
            q[i] = (byte) Math.rint(w.values()[i] / scale);
        }
        TensorProto.Builder t =
                TensorProto.newBuilder().setName(owner + "_w_int").setDataType(TensorProto.DataType.INT8.getNumber());
        for (int d : w.shape()) {
            t.addDims(d);
        }
        initializers.add(t.setRawData(ByteString.copyFrom(q)).build());
        node("DequantizeLinear", owner + "_w_dq", owner + "_w_int", s, z);
        return owner + "_w_dq";
    }

    private String quantized(String tensor, String prefix, String scale, String zero) {
        node("QuantizeLinear", prefix + "_q", tensor, scale, zero);
        node("DequantizeLinear", prefix + "_dq", prefix + "_q", scale, zero);
        return prefix + "_dq";
    }

    private void node(String type, String output, String... inputs) {
        nodes.add(NodeProto.newBuilder()
                .setOpType(type)
                .setName(output)
                .addAllInput(List.of(inputs))
                .addOutput(output)
                .build());
    }

    private String scalar(String name, float value) {
        initializers.add(TensorProto.newBuilder()
                .setName(name)
                .setDataType(TensorProto.DataType.FLOAT.getNumber())
                .addFloatData(value)
                .build());
        return name;
    }

    private String zero(String name, TensorProto.DataType type, int value) {
        initializers.add(TensorProto.newBuilder()
                .setName(name)
                .setDataType(type.getNumber())
                .addInt32Data(value)
                .build());
        return name;
    }
}
