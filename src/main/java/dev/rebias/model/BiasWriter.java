package dev.rebias.model;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import dev.rebias.op.Attributes;
import dev.rebias.op.BiasGrid;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Writes corrections into the biases of a quantised model. Nothing else in the message changes: nodes keep their order,
 * names and attributes, fields that this program does not know survive. A bias that other nodes use too gets a copy of
 * its own first.
 */
public final class BiasWriter {
    /**
     * From IR version 4 on an initializer need not be a graph input as well; before, a new constant is a Constant node.
     */
    private static final long INITIALIZERS_ALONE = 4;

    private final BiasSites sites;
    private final ModelProto.Builder model;
    private final GraphProto.Builder graph;
    /** New nodes, by the position in the old file of the node that they go before or behind. */
    private final Map<Integer, List<NodeProto>> before = new HashMap<>();

    private final Map<Integer, NodeProto> behind = new HashMap<>();
    private final Set<String> newNames = new HashSet<>();

    private BiasWriter(BiasSites sites) {
        this.sites = sites;
        this.model = sites.model().proto().toBuilder();
        this.graph = model.getGraphBuilder();
    }

    /**
     * Writes corrections.
     *
     * @param sites where the quantised model's biases are
     * @param corrections for each layer of that model that is to change, delta per channel; whole steps where the bias
     *     has steps
     * @return the message of the corrected model
     * @throws IllegalArgumentException if a correction lies outside of its bias's grid
     */
    public static ModelProto write(BiasSites sites, Map<Layer, float[]> corrections) {
        BiasWriter writer = new BiasWriter(sites);
        corrections.forEach(writer::write);
        writer.insertNodes();
        return writer.model.build();
    }

    private void write(Layer layer, float[] delta) {
        BiasSite site = sites.find(layer);
        if (site instanceof BiasSite.Absent absent) {
            writeAbsent(layer, absent, delta);
        } else if (site instanceof BiasSite.Stored stored) {
            writeStored(layer, stored, delta);
        } else if (site instanceof BiasSite.StoredIntegers integers) {
            writeIntegers(layer, integers, delta);
        } else if (site instanceof BiasSite.Requantized requantized) {
            writeRequantized(layer, requantized, delta);
        } else if (site instanceof BiasSite.Computed computed) {
            String name = newName(biasName(layer));
            addConstant(computed.node(), floatBias(layer, name, computed.node(), delta));
            rewire(computed.node(), computed.input(), name);
        } else if (site instanceof BiasSite.NewAdd add) {
            insertAdd(layer, add.node(), delta);
        }
    }

    private static String biasName(Layer layer) {
        return layer.fileOutput() + "_bias";
    }

    private void writeAbsent(Layer layer, BiasSite.Absent site, float[] delta) {
        String name = newName(biasName(layer));
        TensorProto bias = site.grid().form() == BiasGrid.Form.STEPS
                ? StoredTensor.with(
                        StoredTensor.blank(name, TensorProto.DataType.INT32, delta.length),
                        moved(layer, new long[delta.length], delta, site.grid()))
                : floatBias(layer, name, site.node(), delta);
        addConstant(site.node(), bias);
        rewire(site.node(), site.input(), name);
    }

    private void writeStored(Layer layer, BiasSite.Stored site, float[] delta) {
        TensorProto old = sites.tensor(site.tensor()).orElseThrow();
        TensorProto changed = StoredTensor.with(old, values(layer, site.node(), delta));
        if (sites.uses(site.tensor()) == 1) {
            replace(site.tensor(), changed);
        } else {
            String name = newName(biasName(layer));
            addConstant(site.node(), changed.toBuilder().setName(name).build());
            rewire(site.node(), site.input(), name);
        }
    }

    private void writeIntegers(Layer layer, BiasSite.StoredIntegers site, float[] delta) {
        TensorProto old = sites.tensor(site.tensor()).orElseThrow();
        long[] stored = StoredTensor.integers(old).orElseThrow();
        long[] values = new long[delta.length];
        for (int c = 0; c < values.length; c++) {
            values[c] = stored[stored.length == 1 ? 0 : c];
        }
        TensorProto whole = StoredTensor.with(old, moved(layer, values, delta, site.grid()));
        TensorProto changed = stored.length == values.length ? whole : shaped(layer, whole);
        String input = graph.getNode(site.node()).getInput(site.input());
        if (sites.uses(site.tensor()) == 1 && sites.uses(input) == 1) {
            replace(site.tensor(), changed);
            return;
        }
        String name = newName(biasName(layer));
        if (site.dequantizer() < 0) {
            addConstant(site.node(), changed.toBuilder().setName(name).build());
            rewire(site.node(), site.input(), name);
            return;
        }
        String moved = newName(biasName(layer) + "_quantized");
        addConstant(site.node(), changed.toBuilder().setName(moved).build());
        addCopy(site.node(), site.dequantizer(), moved, name);
        rewire(site.node(), site.input(), name);
    }

    /** The stored floats become what the quantiser makes the corrected bias of; the quantiser stays. */
    private void writeRequantized(Layer layer, BiasSite.Requantized site, float[] delta) {
        TensorProto old = sites.tensor(site.tensor()).orElseThrow();
        TensorProto changed = StoredTensor.with(old, values(layer, site.node(), delta));
        GraphProto before = sites.model().proto().getGraph();
        boolean shared = sites.uses(site.tensor()) > 1
                || sites.uses(before.getNode(site.quantizer()).getOutput(0)) > 1
                || sites.uses(before.getNode(site.dequantizer()).getOutput(0)) > 1;
        if (!shared) {
            replace(site.tensor(), changed);
            return;
        }
        String name = newName(biasName(layer));
        String stored = newName(biasName(layer) + "_float");
        String quantized = newName(biasName(layer) + "_quantized");
        addConstant(site.node(), changed.toBuilder().setName(stored).build());
        addCopy(site.node(), site.quantizer(), stored, quantized);
        addCopy(site.node(), site.dequantizer(), quantized, name);
        rewire(site.node(), site.input(), name);
    }

    /** Adds, in front of a node, a copy of another with other data. */
    private void addCopy(int user, int node, String input, String output) {
        addBefore(
                user,
                sites.model().proto().getGraph().getNode(node).toBuilder()
                        .setName(output)
                        .setInput(0, input)
                        .setOutput(0, output)
                        .build());
    }

    /**
     * A MatMul's output gets another name, and an Add makes the old one, so that every user of it sees the corrected
     * tensor.
     */
    private void insertAdd(Layer layer, int node, float[] delta) {
        String output = graph.getNode(node).getOutput(0);
        String uncorrected = newName(output + "_uncorrected");
        String bias = newName(biasName(layer));
        graph.setNode(node, graph.getNode(node).toBuilder().setOutput(0, uncorrected));
        addConstant(node, StoredTensor.with(StoredTensor.blank(bias, sites.floatType(layer), delta.length), delta));
        behind.put(
                node,
                NodeProto.newBuilder()
                        .setName(layer.name() + Layers.INSERTED_ADD)
                        .setOpType("Add")
                        .addInput(uncorrected)
                        .addInput(bias)
                        .addOutput(output)
                        .build());
    }

    private TensorProto floatBias(Layer layer, String name, int node, float[] delta) {
        TensorProto bias = StoredTensor.with(
                StoredTensor.blank(name, sites.floatType(layer), delta.length), values(layer, node, delta));
        return shaped(layer, bias);
    }

    /** Of a bias that is kept apart, the shape in which it broadcasts. */
    private static TensorProto shaped(Layer layer, TensorProto bias) {
        if (layer.apart().isEmpty()) {
            return bias;
        }
        List<Long> shape = Arrays.stream(layer.biasShape()).boxed().toList();
        return bias.toBuilder().clearDims().addAllDims(shape).build();
    }

    /**
     * The float bias to store: (b + delta) / beta, beta being a Gemm's factor on its third input, or the sign of a
     * constant that is added or subtracted.
     */
    private float[] values(Layer layer, int node, float[] delta) {
        NodeProto user = graph.getNode(node);
        float own = user.getOpType().equals("Gemm") ? Attributes.real(user, "beta", 1) : 1;
        float beta = layer.apart().map(apart -> (float) apart.sign()).orElse(own);
        float[] values = new float[delta.length];
        for (int c = 0; c < values.length; c++) {
            values[c] = (float) ((layer.bias()[c] + delta[c]) / beta);
        }
        return values;
    }

    private static long[] moved(Layer layer, long[] old, float[] delta, BiasGrid grid) {
        long[] out = old.clone();
        for (int c = 0; c < out.length; c++) {
            // A channel that keeps its bias has no correction, and maybe a step of 0.
            double steps = delta[c] == 0 ? 0 : Math.rint((double) delta[c] / grid.steps()[c]);
            if (!(steps >= grid.lowest()[c] && steps <= grid.highest()[c])) {
                throw new IllegalArgumentException("layer '" + layer.name() + "', channel " + c + ": a correction of "
                        + steps + " steps is outside of its range");
            }
            out[c] += (long) steps;
        }
        return out;
    }

    /** Changes a stored tensor where it is. */
    private void replace(String tensor, TensorProto changed) {
        int initializer = sites.initializer(tensor);
        if (initializer >= 0) {
            graph.setInitializer(initializer, changed);
            return;
        }
        NodeProto.Builder constant = graph.getNodeBuilder(sites.producer(tensor));
        for (AttributeProto.Builder attribute : constant.getAttributeBuilderList()) {
            if (attribute.getName().equals("value")) {
                attribute.setT(changed);
            }
        }
    }

    private void addConstant(int user, TensorProto tensor) {
        if (model.getIrVersion() >= INITIALIZERS_ALONE) {
            graph.addInitializer(tensor);
            return;
        }
        addBefore(
                user,
                NodeProto.newBuilder()
                        .setName(tensor.getName())
                        .setOpType("Constant")
                        .addOutput(tensor.getName())
                        .addAttribute(AttributeProto.newBuilder()
                                .setName("value")
                                .setType(AttributeProto.AttributeType.TENSOR)
                                .setT(tensor))
                        .build());
    }

    private void addBefore(int node, NodeProto added) {
        before.computeIfAbsent(node, k -> new ArrayList<>()).add(added);
    }

    private void rewire(int node, int input, String tensor) {
        NodeProto.Builder user = graph.getNodeBuilder(node);
        while (user.getInputCount() <= input) {
            user.addInput("");
        }
        user.setInput(input, tensor);
    }

    private String newName(String wanted) {
        String name = wanted;
        for (int i = 1; sites.isTaken(name) || newNames.contains(name); i++) {
            name = wanted + "_" + i;
        }
        newNames.add(name);
        return name;
    }

    private void insertNodes() {
        if (before.isEmpty() && behind.isEmpty()) {
            return;
        }
        List<NodeProto> nodes = new ArrayList<>(graph.getNodeList());
        graph.clearNode();
        for (int i = 0; i < nodes.size(); i++) {
            graph.addAllNode(before.getOrDefault(i, List.of()));
            graph.addNode(nodes.get(i));
            Optional.ofNullable(behind.get(i)).ifPresent(graph::addNode);
        }
    }
}
