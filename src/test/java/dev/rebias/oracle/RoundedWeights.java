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

    static ModelProto of(ModelProto model, int bits) {
        Set<String> weights = new HashSet<>();
        for (NodeProto layer : NaiveCorrection.layers(model)) {
            weights.add(layer.getInput(1));
        }
        ModelProto.Builder rounded = model.toBuilder();
        GraphProto.Builder graph = rounded.getGraphBuilder();
        for (TensorProto.Builder t : graph.getInitializerBuilderList()) {
            if (weights.contains(t.getName())) {
                round(t, (1 << (bits - 1)) - 1);
            }
        }
        return rounded.build();
    }

    private static void round(TensorProto.Builder t, int steps) {
        float max = 0;
        for (float v : t.getFloatDataList()) {
            max = Math.max(max, Math.abs(v));
        }
        float scale = max / steps;
        for (int i = 0; i < t.getFloatDataCount(); i++) {
            t.setFloatData(i, (float) (Math.rint(t.getFloatData(i) / scale) * scale));
        }
    }
}
