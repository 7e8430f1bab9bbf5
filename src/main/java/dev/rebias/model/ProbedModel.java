package dev.rebias.model;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashSet;
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

    /** The serialised model, external data loaded, with these tensors as its outputs, and without what does not lead to one. */
    public static byte[] withOutputsAlone(OnnxModel model, List<String> tensors) {
        Set<String> needed = new HashSet<>(tensors);
        Deque<NodeProto> nodes = new ArrayDeque<>();
        List<NodeProto> all = model.proto().getGraph().getNodeList();
        for (int i = all.size() - 1; i >= 0; i--) {
            NodeProto node = all.get(i);
            if (node.getOutputList().stream().anyMatch(needed::contains)) {
                nodes.addFirst(node);
                needed.addAll(node.getInputList());
                needed.addAll(Captures.of(node));
            }
        }
        GraphProto graph = model.proto().getGraph().toBuilder()
                .clearOutput()
                .clearNode()
                .addAllNode(nodes)
                .clearInitializer()
                .addAllInitializer(model.proto().getGraph().getInitializerList().stream()
                        .filter(t -> needed.contains(t.getName()))
                        .toList())
                .build();
        return withOutputs(
                new OnnxModel(
                        model.name(),
                        model.folder(),
                        model.proto().toBuilder().setGraph(graph).build(),
                        model.hints()),
                tensors);
    }

    /** The serialised model, external data loaded, with these tensors as outputs as well. */
    public static byte[] withOutputs(OnnxModel model, List<String> tensors) {
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
