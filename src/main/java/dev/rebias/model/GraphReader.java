package dev.rebias.model;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorShapeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.Attributes;
import dev.rebias.op.LayerOp;
import dev.rebias.op.LayerOps;
import dev.rebias.op.OnnxOp;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/** Turns an ONNX model into a {@link Graph}. */
public final class GraphReader {
    /** A node of the file, or one that a QOperator node was written out as. */
    private record Raw(NodeProto node, Set<String> captures, int fileIndex, String fileOutput) {}

    /** A node that could be a layer but is not, and why. */
    private static final class NotALayer extends Exception {
        private static final long serialVersionUID = 1L;

        NotALayer(String reason) {
            super(reason);
        }
    }

    private final OnnxModel model;
    private final GraphProto proto;
    private final List<Node> nodes = new ArrayList<>();
    private final List<SkippedLayer> notLayers = new ArrayList<>();
    private Map<String, HostTensor> constants = Map.of();
    private final Map<String, Dequantized> dequantized = new HashMap<>();

    private GraphReader(OnnxModel model) {
        this.model = model;
        this.proto = model.proto().getGraph();
    }

    /**
     * Reads a model's graph.
     *
     * @throws UnsupportedException if the graph is broken (a tensor that nothing makes) or uses what rebias does not
     *     handle
     */
    public static Graph read(OnnxModel model) {
        if (Float32Form.isWanted(model.proto())) {
            // What is of one type in the form that is computed with may be of two in the file.
            LoadCheck.requireTypes(model);
        }
        return new GraphReader(model.computed()).read();
    }

    private Graph read() {
        UnsupportedOperators.refuse(model);
        LoadCheck.require(model);
        if (proto.getSparseInitializerCount() > 0) {
            throw new UnsupportedException(
                    "'" + model.name() + "' has sparse initializers, which rebias does not read: store them dense");
        }
        Constants folding = new Constants(model, proto.getInitializerList());
        List<GraphInput> inputs = inputs(folding);
        List<Raw> variable = new ArrayList<>();
        Set<String> known = inputs.stream().map(GraphInput::name).collect(Collectors.toCollection(HashSet::new));
        for (Raw raw : rawNodes(folding)) {
            check(raw, known, folding);
            for (String output : raw.node().getOutputList()) {
                if (known.contains(output)
                        || (folding.contains(output) && !raw.node().getOpType().equals("Constant"))) {
                    throw new UnsupportedException(
                            "tensor '" + output + "' of '" + model.name() + "' is made twice, the second time by node "
                                    + describe(raw.node()) + ": the model is damaged");
                }
            }
            if (!folding.offer(raw.node(), raw.captures())) {
                variable.add(raw);
                known.addAll(raw.node().getOutputList());
            }
        }
        Set<String> wanted = new LinkedHashSet<>();
        for (Raw raw : variable) {
            uses(raw).stream().filter(folding::contains).forEach(wanted::add);
        }
        constants = folding.evaluate(wanted);
        wanted.forEach(name -> folding.dequantized(name).ifPresent(values -> dequantized.put(name, values)));
        variable.forEach(this::addNode);
        Set<String> outputs =
                proto.getOutputList().stream().map(ValueInfoProto::getName).collect(Collectors.toSet());
        return new Graph(
                model.name(),
                inputs,
                nodes,
                constants,
                dequantized,
                outputs,
                notLayers,
                model.hints().joinedToNext());
    }

    private List<GraphInput> inputs(Constants folding) {
        List<GraphInput> inputs = new ArrayList<>();
        for (ValueInfoProto input : proto.getInputList()) {
            if (folding.contains(input.getName())) {
                continue; // an initializer that may be overridden, as all were before IR version 4
            }
            if (!input.getType().hasTensorType()) {
                throw new UnsupportedException(
                        "input '" + input.getName() + "' of '" + model.name() + "' is not a tensor");
            }
            int code = input.getType().getTensorType().getElemType();
            ElementType type = ElementType.ofOnnxCode(code)
                    .orElseThrow(() -> new UnsupportedException("input '" + input.getName() + "' of '" + model.name()
                            + "' has ONNX element type " + code + ", which rebias does not handle"));
            TensorShapeProto shape = input.getType().getTensorType().getShape();
            inputs.add(new GraphInput(
                    input.getName(),
                    type,
                    shape.getDimList().stream()
                            .mapToLong(d -> d.getDimValue() > 0 ? d.getDimValue() : -1)
                            .toArray()));
        }
        return inputs;
    }

    private List<Raw> rawNodes(Constants folding) {
        // QOperator nodes need their weights' ranks, which Constant nodes may hold: those come first.
        proto.getNodeList().stream()
                .filter(n -> n.getOpType().equals("Constant"))
                .forEach(n -> folding.offer(n, Set.of()));
        List<Raw> raw = new ArrayList<>();
        for (int i = 0; i < proto.getNodeCount(); i++) {
            NodeProto node = proto.getNode(i);
            String output = node.getOutputCount() == 0 ? "" : node.getOutput(0);
            List<NodeProto> parts =
                    switch (node.getOpType()) {
                        case QOperators.ADD -> QOperators.lowerAdd(node, folding::storedRank);
                        default ->
                            QOperators.TYPES.contains(node.getOpType())
                                    ? QOperators.lower(node, folding::storedRank)
                                    : List.of(node);
                    };
            for (NodeProto part : parts) {
                raw.add(new Raw(part, Captures.of(part), i, output));
            }
        }
        return raw;
    }

    private void check(Raw raw, Set<String> known, Constants folding) {
        for (String input : uses(raw)) {
            if (!known.contains(input) && !folding.contains(input)) {
                throw new UnsupportedException(
                        "node " + describe(raw.node()) + " of '" + model.name() + "' uses tensor '" + input
                                + "', which no node before it makes: the model is damaged or not sorted");
            }
        }
    }

    private static List<String> uses(Raw raw) {
        List<String> uses = new ArrayList<>(raw.node().getInputList());
        uses.addAll(raw.captures());
        uses.removeIf(String::isEmpty);
        return uses;
    }

    private static String describe(NodeProto node) {
        return "'" + name(node) + "' (" + node.getOpType() + ")";
    }

    private static String name(NodeProto node) {
        return node.getName().isEmpty() && node.getOutputCount() > 0 ? node.getOutput(0) : node.getName();
    }

    private void addNode(Raw raw) {
        NodeProto node = raw.node();
        String name = name(node);
        try {
            Optional<Node> layer = layer(raw);
            if (layer.isPresent()) {
                nodes.add(layer.get());
                return;
            }
            Optional<String> reason = UnsupportedOperators.notALayer(node);
            if (reason.isPresent()) {
                throw new NotALayer(reason.get());
            }
        } catch (NotALayer e) {
            notLayers.add(new SkippedLayer(name, raw.fileOutput(), node.getOpType(), 0, e.getMessage()));
        }
        List<String> inputs = new ArrayList<>(node.getInputList());
        inputs.addAll(raw.captures());
        OnnxOp op = new OnnxOp(node, List.copyOf(raw.captures()), model.proto().getOpsetImportList());
        nodes.add(new Node(name, op, inputs, node.getOutputList(), raw.fileIndex(), raw.fileOutput()));
    }

    /**
     * The node as a layer with the operands data, weights, and bias of shape [channels] where there is one; empty if
     * its op has no weights.
     */
    private Optional<Node> layer(Raw raw) throws NotALayer {
        NodeProto node = raw.node();
        if (node.getInputCount() < 2 || !LayerOps.hasWeights(node)) {
            return Optional.empty();
        }
        if (model.hints().notLayers().containsKey(node.getName())) {
            throw new NotALayer(model.hints().notLayers().get(node.getName()));
        }
        String data = node.getInput(0);
        String weights = node.getInput(1);
        if (!constants.containsKey(weights)) {
            throw new NotALayer(
                    constants.containsKey(data)
                            ? "its constant operand is the first one, not the weights"
                            : "its weights are not constant");
        }
        HostTensor w = constants.get(weights);
        if (w.type() != ElementType.FLOAT) {
            throw new NotALayer("its weights are " + w.type() + ", not FLOAT");
        }
        boolean product = node.getOpType().equals("MatMul") || node.getOpType().equals("Gemm");
        if (product && w.rank() != 2) {
            throw new NotALayer("its weights have shape " + Shape.text(w.shape()) + ", not two dimensions");
        }
        LayerOp op;
        try {
            op = LayerOps.parse(node, w.shape());
        } catch (UnsupportedException e) {
            throw new UnsupportedException(
                    "node " + describe(node) + " of '" + model.name() + "': " + e.getMessage(), e);
        }
        List<String> operands = new ArrayList<>(List.of(data, weights));
        if (node.getInputCount() > 2 && !node.getInput(2).isEmpty()) {
            operands.add(bias(node, op.channels(w.shape())));
        }
        return Optional.of(new Node(name(node), op, operands, node.getOutputList(), raw.fileIndex(), raw.fileOutput()));
    }

    /**
     * The name of a constant of shape [channels] that holds the bias as it is added: Gemm's beta folded in, scalars
     * spread out.
     */
    private String bias(NodeProto node, int channels) throws NotALayer {
        String name = node.getInput(2);
        HostTensor bias = constants.get(name);
        if (bias == null) {
            throw new NotALayer("its bias is not constant");
        }
        if (bias.type() != ElementType.FLOAT) {
            throw new NotALayer("its bias is " + bias.type() + ", not FLOAT");
        }
        long[] shape = bias.shape();
        long last = shape.length == 0 ? 1 : shape[shape.length - 1];
        if (bias.elements() != last || (last != 1 && last != channels)) {
            throw new NotALayer("its bias has shape " + Shape.text(shape) + ", not one value for each of " + channels
                    + " channels");
        }
        float beta = node.getOpType().equals("Gemm") ? Attributes.real(node, "beta", 1) : 1;
        if (beta == 0) {
            throw new NotALayer("its beta is 0, so no bias has an effect");
        }
        if (beta == 1 && shape.length == 1 && last == channels) {
            return name;
        }
        float[] values = new float[channels];
        for (int c = 0; c < channels; c++) {
            values[c] = beta * bias.floats().get(last == 1 ? 0 : c);
        }
        String canonical = name(node) + "/bias";
        constants.put(canonical, HostTensor.of(values, channels));
        return canonical;
    }
}
