package dev.rebias.model;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/** A model with tensors from its inside as further outputs, for another engine to show. */
public final class ProbedModel {
    private ProbedModel() {}

    /** Whether a node of the file makes a tensor of that name. */
    public static boolean has(OnnxModel model, String tensor) {
        return model.proto().getGraph().getNodeList().stream()
                .anyMatch(n -> n.getOutputList().contains(tensor));
    }

    /**
     * The serialised model in the form that is computed with, external data loaded, with these tensors as outputs as
     * well.
     */
    public static byte[] withOutputs(OnnxModel written, List<String> tensors) {
        OnnxModel model = written.computed();
        ModelProto.Builder probed = model.proto().toBuilder();
        GraphProto.Builder graph = probed.getGraphBuilder();
        ExternalData external = new ExternalData(model);
        for (int i = 0; i < graph.getInitializerCount(); i++) {
            graph.setInitializer(i, external.load(graph.getInitializer(i)));
        }
        for (NodeProto.Builder node : graph.getNodeBuilderList()) {
            node.getAttributeBuilderList().stream().filter(a -> a.hasT()).forEach(a -> a.setT(external.load(a.getT())));
        }
        Set<String> present =
                graph.getOutputList().stream().map(ValueInfoProto::getName).collect(Collectors.toSet());
        tensors.stream()
                .filter(t -> !present.contains(t))
                .forEach(t -> graph.addOutput(ValueInfoProto.newBuilder().setName(t)));
        return probed.build().toByteArray();
    }
}
