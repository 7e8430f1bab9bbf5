package dev.rebias.model;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorShapeProto;
import ai.onnx.proto.OnnxMl.TypeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.AttributeRules;
import dev.rebias.op.Attributes;
import dev.rebias.runtime.OnnxRuntime;
import dev.rebias.tensor.ElementType;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Whether ONNX Runtime takes a model: it knows every operation, its attributes, its numbers of inputs and outputs, and
 * the types and shapes that follow. A model that it refuses would be of no use when corrected. It is given the model
 * without its large tensors, as inputs of the same types and shapes: so this takes milliseconds, whatever the model's
 * size.
 */
final class LoadCheck {
    /** From how many elements on a tensor's values are left out. */
    private static final long LARGE = 256;

    /** Deeper subgraphs than any exporter writes; the reading of messages and ONNX Runtime both recurse. */
    private static final int DEEPEST = 16;

    /** More turns than any decoder has; a loop of a network without state has none at all. */
    private static final long MOST_TURNS = 1 << 20;

    /** What makes nothing where a size among its second inputs is 0. */
    private static final Set<String> SIZED = Set.of("Expand", "Tile");

    /** What makes nothing of nothing. */
    private static final Set<String> KEEPING = Set.of(
            "Cast",
            "Clip",
            "DequantizeLinear",
            "Identity",
            "LeakyRelu",
            "Neg",
            "QuantizeLinear",
            "Relu",
            "Sigmoid",
            "Tanh",
            "Transpose");

    private final OnnxModel model;
    private final ExternalData external;
    /** The tensors whose values may decide whether a node is right. */
    private final Set<String> kept = new HashSet<>();

    /**
     * The tensors that say what a Slice takes: ONNX Runtime 1.29 ends the process where it can infer that an axis that
     * is sliced has no size, or a negative one, as behind a window that does not fit. What a Slice takes is checked
     * when it runs.
     */
    private final Set<String> hidden = new HashSet<>();

    private LoadCheck(OnnxModel model) {
        this.model = model;
        this.external = new ExternalData(model);
    }

    /**
     * Requires that ONNX Runtime loads a model, without changing it.
     *
     * @throws UnsupportedException with ONNX Runtime's reason if it does not
     */
    static void require(OnnxModel model) {
        LoadCheck check = checked(model);
        try {
            check.load();
        } catch (OrtException e) {
            throw check.refused(e);
        }
    }

    /**
     * The same of a model that ONNX Runtime need not have kernels for on the CPU, as it has few for 16 bits.
     *
     * @throws UnsupportedException with ONNX Runtime's reason if the model is not a legal one
     */
    static void requireTypes(OnnxModel model) {
        LoadCheck check = checked(model);
        try {
            check.load();
        } catch (OrtException e) {
            if (e.getCode() != OrtException.OrtErrorCode.ORT_NOT_IMPLEMENTED) {
                throw check.refused(e);
            }
        }
    }

    private static LoadCheck checked(OnnxModel model) {
        LoadCheck check = new LoadCheck(model);
        check.requireDepth(model.proto().getGraph(), 0);
        check.requireTensors();
        check.requireLoopsEnd(model.proto().getGraph());
        try {
            model.proto().getGraph().getNodeList().forEach(AttributeRules::check);
        } catch (UnsupportedException e) {
            throw new UnsupportedException("'" + model.name() + "': " + e.getMessage(), e);
        }
        return check;
    }

    private void load() throws OrtException {
        byte[] bytes = withoutValues().toByteArray();
        try (OrtSession session =
                OnnxRuntime.session(bytes, OrtSession.SessionOptions.OptLevel.NO_OPT, OnnxRuntime.Threads.CALLER)) {
            if (session.getNumOutputs() != model.proto().getGraph().getOutputCount()) {
                throw new UnsupportedException("'" + model.name() + "' names an output twice");
            }
        }
    }

    private UnsupportedException refused(OrtException e) {
        String reason = OnnxRuntime.reason(e);
        String cure = model.proto().getGraph().getNodeList().stream()
                .filter(n -> reason.contains(n.getOpType()))
                .flatMap(n -> UnsupportedOperators.notALayer(n).stream())
                .map(c -> " (" + c + ")")
                .findFirst()
                .orElse("");
        return new UnsupportedException("ONNX Runtime cannot load '" + model.name() + "': " + reason + cure, e);
    }

    private void requireDepth(GraphProto graph, int depth) {
        if (depth > DEEPEST) {
            throw new UnsupportedException(
                    "'" + model.name() + "' has subgraphs nested more than " + DEEPEST + " deep");
        }
        for (NodeProto node : graph.getNodeList()) {
            for (AttributeProto attribute : node.getAttributeList()) {
                if (attribute.hasG()) {
                    requireDepth(attribute.getG(), depth + 1);
                }
                attribute.getGraphsList().forEach(g -> requireDepth(g, depth + 1));
            }
        }
    }

    /**
     * Requires that no loop says of itself that it goes on for ever, or nearly so. What others make of their condition
     * shows only when they run.
     */
    private void requireLoopsEnd(GraphProto graph) {
        Map<String, TensorProto> stored = new HashMap<>();
        graph.getInitializerList().forEach(t -> stored.put(t.getName(), t));
        for (NodeProto node : graph.getNodeList()) {
            Attributes.find(node, "value")
                    .filter(a -> a.hasT() && node.getOutputCount() > 0)
                    .ifPresent(a -> stored.put(node.getOutput(0), a.getT()));
            if (node.getOpType().equals("Loop") && node.getInputCount() > 0) {
                boolean many = Optional.ofNullable(stored.get(node.getInput(0)))
                        .flatMap(StoredTensor::longs)
                        .filter(v -> v.length == 1 && v[0] > MOST_TURNS)
                        .isPresent();
                boolean endless = node.getInput(0).isEmpty()
                        && Attributes.find(node, "body")
                                .filter(b -> isAlwaysTrue(b.getG()))
                                .isPresent();
                if (many || endless) {
                    throw new UnsupportedException("node '" + node.getName() + "' (Loop) of '" + model.name()
                            + "' has no end: it may have at most " + MOST_TURNS + " turns");
                }
            }
            for (AttributeProto attribute : node.getAttributeList()) {
                if (attribute.hasG()) {
                    requireLoopsEnd(attribute.getG());
                }
                attribute.getGraphsList().forEach(this::requireLoopsEnd);
            }
        }
    }

    /** Whether a loop's body hands its condition through, or makes a constant of it. */
    private static boolean isAlwaysTrue(GraphProto body) {
        if (body.getOutputCount() == 0 || body.getInputCount() < 2) {
            return false;
        }
        String condition = body.getOutput(0).getName();
        for (int i = body.getNodeCount() - 1; i >= 0; i--) {
            NodeProto node = body.getNode(i);
            if (node.getOutputList().contains(condition)) {
                if (!node.getOpType().equals("Identity")) {
                    return node.getOpType().equals("Constant");
                }
                condition = node.getInput(0);
            }
        }
        return condition.equals(body.getInput(1).getName());
    }

    /** Requires that every stored tensor has as many bytes as its type and shape say. */
    private void requireTensors() {
        Set<String> names = new HashSet<>();
        for (TensorProto tensor : model.proto().getGraph().getInitializerList()) {
            if (!names.add(tensor.getName())) {
                throw wrong(tensor, "is stored twice");
            }
            require(tensor);
        }
        for (NodeProto node : model.proto().getGraph().getNodeList()) {
            if (node.getOpType().equals("Constant")) {
                Attributes.find(node, "value").ifPresent(a -> require(a.getT()));
            }
        }
    }

    private void require(TensorProto tensor) {
        long elements = 1;
        for (long d : tensor.getDimsList()) {
            if (d < 0 || (d > 0 && elements > Integer.MAX_VALUE / d)) {
                throw wrong(tensor, "has dimensions " + tensor.getDimsList() + ", which no tensor can have");
            }
            elements *= d;
        }
        Optional<ElementType> type = ElementType.ofOnnxCode(tensor.getDataType());
        if (ExternalData.isExternal(tensor) || type.isEmpty()) {
            return;
        }
        long stored = tensor.hasRawData()
                ? tensor.getRawData().size() / type.get().bytes()
                : switch (type.get()) {
                    case FLOAT -> tensor.getFloatDataCount();
                    case DOUBLE -> tensor.getDoubleDataCount();
                    case INT64 -> tensor.getInt64DataCount();
                    case UINT32, UINT64 -> tensor.getUint64DataCount();
                    default -> tensor.getInt32DataCount();
                };
        if (stored != elements
                || (tensor.hasRawData()
                        && tensor.getRawData().size() % type.get().bytes() != 0)) {
            throw wrong(
                    tensor,
                    "has " + stored + " values, and dimensions " + tensor.getDimsList() + ": the file is damaged");
        }
    }

    private UnsupportedException wrong(TensorProto tensor, String what) {
        return new UnsupportedException("tensor '" + tensor.getName() + "' of '" + model.name() + "' " + what);
    }

    private ModelProto withoutValues() {
        ModelProto proto = model.proto();
        requireNoEmptySlices(proto.getGraph());
        for (NodeProto node : proto.getGraph().getNodeList()) {
            kept.addAll(Captures.of(node));
            if (node.getOpType().equals("Slice")) {
                hidden.addAll(node.getInputList().subList(Math.min(1, node.getInputCount()), node.getInputCount()));
            }
            if (!node.getDomain().isEmpty() && !node.getDomain().equals("ai.onnx")) {
                kept.addAll(node.getInputList());
            }
        }
        proto.getGraph().getOutputList().forEach(o -> kept.add(o.getName()));
        Set<String> inputs = new HashSet<>();
        proto.getGraph().getInputList().forEach(i -> inputs.add(i.getName()));
        Map<String, TensorProto> given = new HashMap<>();
        GraphProto.Builder graph =
                proto.getGraph().toBuilder().clearInitializer().clearNode();
        for (TensorProto tensor : proto.getGraph().getInitializerList()) {
            if (isLeftOut(tensor.getName(), tensor)) {
                given.put(tensor.getName(), tensor);
            } else {
                graph.addInitializer(external.load(tensor));
            }
        }
        for (NodeProto node : proto.getGraph().getNodeList()) {
            Optional<TensorProto> value = node.getOpType().equals("Constant") && node.getOutputCount() == 1
                    ? Attributes.find(node, "value").map(AttributeProto::getT)
                    : Optional.empty();
            if (value.isPresent() && isLeftOut(node.getOutput(0), value.get())) {
                given.put(node.getOutput(0), value.get());
            } else {
                graph.addNode(Constants.loaded(node, external));
            }
        }
        given.forEach((name, tensor) -> {
            if (!inputs.contains(name)) {
                graph.addInput(input(name, tensor));
            }
        });
        return proto.toBuilder().setGraph(graph).build();
    }

    /**
     * Of what is stored, or made of nothing by a stored size, ONNX Runtime would see when it loads or runs the model
     * that a Slice takes nothing, and end the process.
     */
    private void requireNoEmptySlices(GraphProto graph) {
        Set<String> empty = new HashSet<>();
        Set<String> zeros = new HashSet<>();
        Set<String> negative = new HashSet<>();
        for (TensorProto t : graph.getInitializerList()) {
            long least = StoredTensor.longs(t).stream()
                    .flatMapToLong(Arrays::stream)
                    .min()
                    .orElse(1);
            if (least <= 0) {
                (least < 0 ? negative : zeros).add(t.getName());
            }
        }
        graph.getInitializerList().stream()
                .filter(t -> t.getDimsList().contains(0L))
                .forEach(t -> empty.add(t.getName()));
        for (NodeProto node : graph.getNodeList()) {
            boolean stored = node.getOpType().equals("Constant")
                    && Attributes.find(node, "value")
                            .filter(a -> a.getT().getDimsList().contains(0L))
                            .isPresent();
            if (SIZED.contains(node.getOpType()) && node.getInputCount() > 1 && negative.contains(node.getInput(1))) {
                throw new UnsupportedException("node '" + node.getName() + "' (" + node.getOpType() + ") of '"
                        + model.name() + "' is given a negative size");
            }
            boolean repeated =
                    SIZED.contains(node.getOpType()) && node.getInputCount() > 1 && zeros.contains(node.getInput(1));
            boolean handedOn =
                    KEEPING.contains(node.getOpType()) && node.getInputCount() > 0 && empty.contains(node.getInput(0));
            if (stored || repeated || handedOn) {
                empty.addAll(node.getOutputList());
            }
            if (node.getOpType().equals("Slice") && node.getInputCount() > 0 && empty.contains(node.getInput(0))) {
                throw new UnsupportedException(
                        "node '" + node.getName() + "' (Slice) of '" + model.name() + "' takes a part of nothing");
            }
        }
    }

    private boolean isLeftOut(String name, TensorProto tensor) {
        long elements = 1;
        for (long d : tensor.getDimsList()) {
            elements *= d;
        }
        boolean integers = tensor.getDataType() == ElementType.INT64.onnxCode();
        return (hidden.contains(name) || (elements >= LARGE && !integers))
                && !kept.contains(name)
                && ElementType.ofOnnxCode(tensor.getDataType()).isPresent();
    }

    private static ValueInfoProto input(String name, TensorProto tensor) {
        TensorShapeProto.Builder shape = TensorShapeProto.newBuilder();
        tensor.getDimsList()
                .forEach(d ->
                        shape.addDim(TensorShapeProto.Dimension.newBuilder().setDimValue(d)));
        return ValueInfoProto.newBuilder()
                .setName(name)
                .setType(TypeProto.newBuilder()
                        .setTensorType(TypeProto.Tensor.newBuilder()
                                .setElemType(tensor.getDataType())
                                .setShape(shape)))
                .build();
    }
}
