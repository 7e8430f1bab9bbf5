package dev.rebias.model;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/** Writes weights into a quantised model where they are stored. Nothing else in the message changes. */
public final class WeightWriter {
    private WeightWriter() {}

    /**
     * Writes weights.
     *
     * @param sites of the model that was read
     * @param model the message to change: that model's, or one that has other biases
     * @param weights for each site the new multiples of its steps; a site whose weights stay leaves its tensor as it
     *     is, byte for byte
     */
    public static ModelProto write(BiasSites sites, ModelProto model, Map<WeightSite, double[]> weights) {
        Map<String, TensorProto> changed = new HashMap<>();
        weights.forEach((site, multiples) -> {
            if (site.moves(multiples)) {
                TensorProto old = sites.tensor(site.tensor()).orElseThrow();
                changed.put(
                        site.tensor(),
                        site.form() == WeightSite.Form.INTEGERS
                                ? StoredTensor.withWeights(old, site.stored(multiples))
                                : StoredTensor.with(old, site.floats(multiples, StoredTensor.floats(old))));
            }
        });
        if (changed.isEmpty()) {
            return model;
        }
        ModelProto.Builder out = model.toBuilder();
        GraphProto.Builder graph = out.getGraphBuilder();
        for (int i = 0; i < graph.getInitializerCount(); i++) {
            Optional<TensorProto> tensor =
                    Optional.ofNullable(changed.get(graph.getInitializer(i).getName()));
            if (tensor.isPresent()) {
                graph.setInitializer(i, tensor.get());
            }
        }
        for (NodeProto.Builder node : graph.getNodeBuilderList()) {
            if (node.getOpType().equals("Constant") && changed.containsKey(node.getOutput(0))) {
                for (AttributeProto.Builder attribute : node.getAttributeBuilderList()) {
                    if (attribute.getName().equals("value")) {
                        attribute.setT(changed.get(node.getOutput(0)));
                    }
                }
            }
        }
        return out.build();
    }
}
