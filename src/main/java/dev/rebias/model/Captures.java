package dev.rebias.model;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** Outer tensors that a node's subgraphs (If, Loop, Scan) use by name. */
final class Captures {
    private Captures() {}

    /** The names, in order of first use; empty for a node without subgraphs. */
    static Set<String> of(NodeProto node) {
        Set<String> captures = new LinkedHashSet<>();
        for (AttributeProto attribute : node.getAttributeList()) {
            List<GraphProto> graphs = new ArrayList<>(attribute.getGraphsList());
            if (attribute.hasG()) {
                graphs.add(attribute.getG());
            }
            graphs.forEach(g -> captures.addAll(of(g)));
        }
        return captures;
    }

    private static Set<String> of(GraphProto graph) {
        Set<String> own = new HashSet<>();
        graph.getInputList().forEach(i -> own.add(i.getName()));
        graph.getInitializerList().forEach(i -> own.add(i.getName()));
        Set<String> captures = new LinkedHashSet<>();
        for (NodeProto node : graph.getNodeList()) {
            List<String> uses = new ArrayList<>(node.getInputList());
            uses.addAll(of(node));
            uses.stream().filter(u -> !u.isEmpty() && !own.contains(u)).forEach(captures::add);
            own.addAll(node.getOutputList());
        }
        // A subgraph may hand an outer tensor straight through.
        graph.getOutputList().stream()
                .map(o -> o.getName())
                .filter(o -> !own.contains(o))
                .forEach(captures::add);
        return captures;
    }
}
