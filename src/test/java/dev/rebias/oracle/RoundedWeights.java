package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import java.util.HashSet;
import java.util.Set;

/** A float model with its layers' weights rounded to few steps: a quantised model without quantisers. */
final class RoundedWeights {
    private RoundedWeights() {}

    /** Rounds weights in initializers and in Constant nodes, per tensor. */
    static ModelProto of(ModelProto model, int bits) {
        Set<String> weights = new HashSet<>();
        for (NodeProto layer : NaiveCorrection.layers(model)) {
            weights.add(layer.getInput(1));
        }
        int steps = (1 << (bits - 1)) - 1;
        ModelProto.Builder rounded = model.toBuilder();
        GraphProto.Builder graph = rounded.getGraphBuilder();
        for (TensorProto.Builder t : graph.getInitializerBuilderList()) {
            if (weights.contains(t.getName())) {
                round(t, steps);
            }
        }
        for (NodeProto.Builder node : graph.getNodeBuilderList()) {
            if (node.getOpType().equals("Constant") && weights.contains(node.getOutput(0))) {
                round(node.getAttributeBuilder(0).getTBuilder(), steps);
            }
        }
        return rounded.build();
    }

    private static void round(TensorProto.Builder t, int steps) {
        double[] values = NaiveTensor.of(t.build()).values();
        double max = 0;
        for (double v : values) {
            max = Math.max(max, Math.abs(v));
        }
        double scale = max / steps;
        t.clearRawData().clearFloatData();
        for (double v : values) {
            t.addFloatData((float) (Math.rint(v / scale) * scale));
        }
    }
}
