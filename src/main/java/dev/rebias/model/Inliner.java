package dev.rebias.model;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.FunctionProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import dev.rebias.error.UnsupportedException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Writes a model's local functions out where they are called (ONNX's intermediate representation, "Functions"): each
 * call becomes the function's nodes, its formal inputs, outputs and attributes those of the call, and every tensor in
 * between gets a name of its own. So each call has layers, and biases, of its own.
 */
final class Inliner {
    /** Functions may call functions, but not themselves. */
    private static final int DEEPEST = 100;

    /** More nodes than any network has; functions that call each other twice each make 2^depth of them. */
    private static final int MOST_NODES = 200_000;

    /** What identifies a function: domain, name and overload. */
    private record Key(String domain, String name, String overload) {
        static Key of(NodeProto node) {
            return new Key(standard(node.getDomain()), node.getOpType(), node.getOverload());
        }
    }

    private final String model;
    private final Map<Key, FunctionProto> functions = new HashMap<>();
    private final Set<String> taken = new HashSet<>();
    private final Map<String, Integer> counts = new HashMap<>();
    private int written;

    private Inliner(String model, ModelProto proto) {
        this.model = model;
        for (FunctionProto f : proto.getFunctionsList()) {
            functions.put(new Key(standard(f.getDomain()), f.getName(), f.getOverload()), f);
        }
        take(proto.getGraph());
    }

    private static String standard(String domain) {
        return domain.equals("ai.onnx") ? "" : domain;
    }

    /**
     * The model without functions.
     *
     * @param name what messages call it
     * @throws UnsupportedException if a function is written for other operator sets than the model, or calls itself
     */
    static ModelProto inline(String name, ModelProto model) {
        if (model.getFunctionsCount() == 0) {
            return model;
        }
        Inliner inliner = new Inliner(name, model);
        ModelProto.Builder out = model.toBuilder().clearFunctions();
        inliner.importOpsets(out);
        out.setGraph(inliner.inline(model.getGraph(), 0));
        return out.build();
    }

    private void take(GraphProto graph) {
        graph.getInputList().forEach(i -> taken.add(i.getName()));
        graph.getInitializerList().forEach(i -> taken.add(i.getName()));
        for (NodeProto node : graph.getNodeList()) {
            taken.addAll(node.getOutputList());
            node.getAttributeList().forEach(a -> graphs(a).forEach(this::take));
        }
    }

    private static List<GraphProto> graphs(AttributeProto attribute) {
        List<GraphProto> all = new ArrayList<>(attribute.getGraphsList());
        if (attribute.hasG()) {
            all.add(attribute.getG());
        }
        return all;
    }

    /** Every operator set that a function works with, at the version that the model imports it. */
    private void importOpsets(ModelProto.Builder out) {
        Map<String, Long> versions = new HashMap<>();
        out.getOpsetImportList().forEach(o -> versions.put(standard(o.getDomain()), o.getVersion()));
        Set<String> own = new HashSet<>();
        functions.keySet().forEach(k -> own.add(k.domain()));
        for (FunctionProto f : functions.values()) {
            for (OperatorSetIdProto opset : f.getOpsetImportList()) {
                String domain = standard(opset.getDomain());
                Long version = versions.putIfAbsent(domain, opset.getVersion());
                if (version == null) {
                    out.addOpsetImport(opset);
                } else if (version != opset.getVersion() && (domain.isEmpty() || !own.contains(domain))) {
                    throw new UnsupportedException("'" + model + "' uses operator set "
                            + (domain.isEmpty() ? "ai.onnx" : domain) + " " + version + ", but its local function '"
                            + f.getName() + "' is written for " + opset.getVersion()
                            + ": convert it first (onnx.inliner.inline_local_functions with convert_version=True)");
                }
            }
        }
    }

    private GraphProto inline(GraphProto graph, int depth) {
        GraphProto.Builder out = graph.toBuilder().clearNode();
        graph.getNodeList().forEach(n -> out.addAllNode(inline(n, depth)));
        return out.build();
    }

    private List<NodeProto> inline(NodeProto node, int depth) {
        FunctionProto function = functions.get(Key.of(node));
        if (function == null) {
            return List.of(withInlinedSubgraphs(node, depth));
        }
        if (depth == DEEPEST) {
            throw new UnsupportedException("local function '" + function.getName() + "' of '" + model
                    + "' calls itself, which the ONNX format does not allow: export the model again");
        }
        List<NodeProto> nodes = new ArrayList<>();
        List<NodeProto> body = new Call(node, function).nodes();
        written += body.size();
        if (written > MOST_NODES) {
            throw new UnsupportedException(
                    "the local functions of '" + model + "' call each other so often that more than " + MOST_NODES
                            + " nodes come of it: inline them first (onnx.inliner.inline_local_functions)");
        }
        for (NodeProto inner : body) {
            nodes.addAll(inline(inner, depth + 1));
        }
        return nodes;
    }

    private NodeProto withInlinedSubgraphs(NodeProto node, int depth) {
        NodeProto.Builder out = node.toBuilder();
        for (AttributeProto.Builder attribute : out.getAttributeBuilderList()) {
            if (attribute.hasG()) {
                attribute.setG(inline(attribute.getG(), depth));
            }
            for (int i = 0; i < attribute.getGraphsCount(); i++) {
                attribute.setGraphs(i, inline(attribute.getGraphs(i), depth));
            }
        }
        return out.build();
    }

    private String unused(String wanted) {
        String name = wanted;
        while (!taken.add(name)) {
            // Counted on from the last one: a function that is called thousands of times wants the same names each
            // time.
            name = wanted + "_" + counts.merge(wanted, 1, Integer::sum);
        }
        return name;
    }

    /** One call of a function. */
    private final class Call {
        private final NodeProto call;
        private final FunctionProto function;
        private final String prefix;
        private final Map<String, AttributeProto> attributes = new HashMap<>();
        private final Map<String, String> outer = new HashMap<>();

        Call(NodeProto call, FunctionProto function) {
            this.call = call;
            this.function = function;
            String name = call.getName().isEmpty() && call.getOutputCount() > 0 ? call.getOutput(0) : call.getName();
            this.prefix = (name.isEmpty() ? function.getName() : name) + "/";
            function.getAttributeProtoList().forEach(a -> attributes.put(a.getName(), a));
            call.getAttributeList().forEach(a -> attributes.put(a.getName(), a));
            for (int i = 0; i < function.getInputCount(); i++) {
                outer.put(function.getInput(i), i < call.getInputCount() ? call.getInput(i) : "");
            }
        }

        List<NodeProto> nodes() {
            List<NodeProto> nodes = new ArrayList<>();
            // An output that is an input as well is handed through.
            Set<String> made = new HashSet<>();
            function.getNodeList().forEach(n -> made.addAll(n.getOutputList()));
            for (int i = 0; i < function.getOutputCount() && i < call.getOutputCount(); i++) {
                String formal = function.getOutput(i);
                String actual = call.getOutput(i);
                if (actual.isEmpty()) {
                    continue;
                }
                if (made.contains(formal) && !outer.containsKey(formal)) {
                    outer.put(formal, actual);
                } else {
                    nodes.add(NodeProto.newBuilder()
                            .setOpType("Identity")
                            .setName(unused(prefix + "output"))
                            .addInput(outer.get(formal))
                            .addOutput(actual)
                            .build());
                }
            }
            List<NodeProto> body = new ArrayList<>();
            function.getNodeList().forEach(n -> body.add(renamed(n, outer)));
            body.addAll(nodes);
            return body;
        }

        private NodeProto renamed(NodeProto node, Map<String, String> names) {
            NodeProto.Builder out = node.toBuilder().clearInput().clearOutput().clearAttribute();
            out.setName(prefix + (node.getName().isEmpty() ? node.getOpType() : node.getName()));
            node.getInputList().forEach(i -> out.addInput(names.getOrDefault(i, i)));
            node.getAttributeList()
                    .forEach(a -> value(a).ifPresent(v -> out.addAttribute(withRenamedGraphs(v, names))));
            node.getOutputList().forEach(o -> out.addOutput(defined(o, names)));
            return out.build();
        }

        private String defined(String tensor, Map<String, String> names) {
            return tensor.isEmpty() ? "" : names.computeIfAbsent(tensor, t -> unused(prefix + t));
        }

        /**
         * The attribute, or what the call (or the function, where the call does not) gives for it; empty where neither
         * does.
         */
        private Optional<AttributeProto> value(AttributeProto attribute) {
            if (attribute.getRefAttrName().isEmpty()) {
                return Optional.of(attribute);
            }
            return Optional.ofNullable(attributes.get(attribute.getRefAttrName()))
                    .map(a -> a.toBuilder().setName(attribute.getName()).build());
        }

        private AttributeProto withRenamedGraphs(AttributeProto attribute, Map<String, String> names) {
            AttributeProto.Builder out = attribute.toBuilder();
            if (attribute.hasG()) {
                out.setG(renamed(attribute.getG(), names));
            }
            for (int i = 0; i < attribute.getGraphsCount(); i++) {
                out.setGraphs(i, renamed(attribute.getGraphs(i), names));
            }
            return out.build();
        }

        /** A graph within the function: it sees the names around it, and what it defines is its own. */
        private GraphProto renamed(GraphProto graph, Map<String, String> around) {
            Map<String, String> names = new HashMap<>(around);
            GraphProto.Builder out = graph.toBuilder().clearNode();
            graph.getInputList().forEach(i -> names.put(i.getName(), unused(prefix + i.getName())));
            graph.getInitializerList().forEach(i -> names.put(i.getName(), unused(prefix + i.getName())));
            graph.getNodeList().stream()
                    .flatMap(n -> n.getOutputList().stream())
                    .filter(o -> !o.isEmpty())
                    .forEach(o -> names.put(o, unused(prefix + o)));
            out.getInputBuilderList().forEach(i -> i.setName(names.get(i.getName())));
            out.getInitializerBuilderList().forEach(i -> i.setName(names.get(i.getName())));
            out.getOutputBuilderList().forEach(o -> o.setName(names.getOrDefault(o.getName(), o.getName())));
            out.clearValueInfo();
            graph.getNodeList().forEach(n -> out.addNode(renamed(n, names)));
            return out.build();
        }
    }
}
