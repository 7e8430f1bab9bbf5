package dev.rebias.model;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import java.util.Optional;

/** Whether a file holds the model that was written to it: every node, and every tensor bit for bit. */
public final class WrittenFile {
    private WrittenFile() {}

    /**
     * What differs first, or empty where nothing does. Where a tensor's bytes lie, in the file or in one beside it,
     * does not matter.
     */
    public static Optional<String> difference(OnnxModel expected, OnnxModel found) {
        GraphProto e = loaded(expected);
        GraphProto f = loaded(found);
        if (e.getNodeCount() != f.getNodeCount()) {
            return Optional.of("it has " + f.getNodeCount() + " nodes instead of " + e.getNodeCount());
        }
        for (int i = 0; i < e.getNodeCount(); i++) {
            if (!e.getNode(i).equals(f.getNode(i))) {
                return Optional.of("node '" + e.getNode(i).getName() + "' is another");
            }
        }
        if (e.getInitializerCount() != f.getInitializerCount()) {
            return Optional.of(
                    "it stores " + f.getInitializerCount() + " tensors instead of " + e.getInitializerCount());
        }
        for (int i = 0; i < e.getInitializerCount(); i++) {
            if (!e.getInitializer(i).equals(f.getInitializer(i))) {
                return Optional.of("tensor '" + e.getInitializer(i).getName() + "' holds other values");
            }
        }
        ModelProto.Builder rest = expected.proto().toBuilder();
        rest.setGraph(f);
        boolean same = rest.build().equals(found.proto().toBuilder().setGraph(f).build())
                && e.toBuilder()
                        .clearNode()
                        .clearInitializer()
                        .build()
                        .equals(f.toBuilder().clearNode().clearInitializer().build());
        return same ? Optional.empty() : Optional.of("its inputs, outputs or metadata are others");
    }

    /** The graph with the bytes of all its own tensors in the message. */
    private static GraphProto loaded(OnnxModel model) {
        ExternalData external = new ExternalData(model);
        GraphProto.Builder graph = model.proto().getGraph().toBuilder();
        for (TensorProto.Builder tensor : graph.getInitializerBuilderList()) {
            TensorProto whole = external.load(tensor.build());
            tensor.clear().mergeFrom(whole);
        }
        for (NodeProto.Builder node : graph.getNodeBuilderList()) {
            for (AttributeProto.Builder attribute : node.getAttributeBuilderList()) {
                if (attribute.hasT()) {
                    attribute.setT(external.load(attribute.getT()));
                }
            }
        }
        return graph.build();
    }
}
