package dev.rebias.model;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.Attributes;
import dev.rebias.runtime.OnnxRuntime;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Evaluates what depends on constants alone: initializers, Constant nodes, and whatever is computed from them (a weight
 * behind QuantizeLinear and DequantizeLinear, a reshaped bias). ONNX Runtime does it, once, so every op, type and
 * quantisation it knows is read exactly as it would read it.
 */
final class Constants {
    /** From this IR version on an initializer need not be a graph input as well. */
    private static final long INITIALIZERS_ALONE = 4;

    private final OnnxModel model;
    private final Map<String, TensorProto> initializers = new HashMap<>();
    private final Map<String, NodeProto> producers = new LinkedHashMap<>();

    Constants(OnnxModel model, Collection<TensorProto> initializers) {
        this.model = model;
        initializers.forEach(t -> this.initializers.put(t.getName(), t));
    }

    /** Takes note of a node; it is constant if all it uses is, and it gives the same result every time. */
    boolean offer(NodeProto node, Set<String> captures) {
        boolean random = node.getOpType().startsWith("Random")
                || Set.of("Multinomial", "Bernoulli").contains(node.getOpType());
        boolean constant = !random
                && node.getInputList().stream().allMatch(i -> i.isEmpty() || contains(i))
                && captures.stream().allMatch(this::contains);
        if (constant) {
            node.getOutputList().forEach(o -> producers.put(o, node));
        }
        return constant;
    }

    boolean contains(String tensor) {
        return initializers.containsKey(tensor) || producers.containsKey(tensor);
    }

    /** A tensor that is stored as it is (initializer or Constant node), its bytes loaded. */
    Optional<TensorProto> stored(String tensor) {
        ExternalData external = new ExternalData(model);
        return Optional.ofNullable(initializers.get(tensor))
                .or(() -> Optional.ofNullable(producers.get(tensor))
                        .filter(n -> n.getOpType().equals("Constant"))
                        .flatMap(n -> Attributes.find(n, "value"))
                        .map(AttributeProto::getT))
                .map(external::load);
    }

    /** The rank of a stored tensor, -1 for any other. */
    int storedRank(String tensor) {
        return stored(tensor).map(TensorProto::getDimsCount).orElse(-1);
    }

    /** A constant that is made from stored integers, with these. */
    Optional<Dequantized> dequantized(String tensor) {
        return Optional.ofNullable(producers.get(tensor))
                .flatMap(n -> Dequantized.of(n, this::stored, name -> Optional.ofNullable(producers.get(name))));
    }

    /** Evaluates the named constants. */
    Map<String, HostTensor> evaluate(Set<String> names) {
        Map<String, HostTensor> values = new HashMap<>();
        if (names.isEmpty()) {
            return values;
        }
        byte[] graph = subgraph(names).toByteArray();
        try (OrtSession session = OnnxRuntime.session(
                        graph, OrtSession.SessionOptions.OptLevel.NO_OPT, OnnxRuntime.Threads.CALLER);
                OrtSession.Result result = session.run(Map.of())) {
            for (String name : names) {
                values.put(name, OnnxRuntime.copy(name, result.get(name).orElseThrow()));
            }
        } catch (OrtException e) {
            throw new UnsupportedException(
                    "the constants of '" + model.name() + "' cannot be evaluated: " + OnnxRuntime.reason(e), e);
        }
        return values;
    }

    private ModelProto subgraph(Set<String> names) {
        ExternalData external = new ExternalData(model);
        Set<String> needed = new HashSet<>(names);
        Deque<String> open = new ArrayDeque<>(names);
        GraphProto.Builder graph = GraphProto.newBuilder().setName("constants");
        while (!open.isEmpty()) {
            String tensor = open.pop();
            NodeProto producer = producers.get(tensor);
            if (producer == null) {
                graph.addInitializer(external.load(initializers.get(tensor)));
            } else {
                List<String> uses = new ArrayList<>(producer.getInputList());
                uses.addAll(Captures.of(producer));
                uses.stream().filter(i -> !i.isEmpty() && needed.add(i)).forEach(open::push);
            }
        }
        // Nodes were offered in an order in which they can run.
        new LinkedHashSet<>(producers.values())
                .stream()
                        .filter(n -> n.getOutputList().stream().anyMatch(needed::contains))
                        .forEach(n -> graph.addNode(loaded(n, external)));
        names.forEach(name -> graph.addOutput(ValueInfoProto.newBuilder().setName(name)));
        return ModelProto.newBuilder()
                .setIrVersion(Math.max(INITIALIZERS_ALONE, model.proto().getIrVersion()))
                .addAllOpsetImport(model.proto().getOpsetImportList())
                .setGraph(graph)
                .build();
    }

    static NodeProto loaded(NodeProto node, ExternalData external) {
        NodeProto.Builder copy = node.toBuilder();
        for (int i = 0; i < copy.getAttributeCount(); i++) {
            if (copy.getAttribute(i).hasT()) {
                copy.getAttributeBuilder(i)
                        .setT(external.load(copy.getAttribute(i).getT()));
            }
        }
        return copy.build();
    }
}
