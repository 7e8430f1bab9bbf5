package dev.rebias.model;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.Attributes;
import dev.rebias.tensor.ElementType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Writes corrections into the biases of a quantised model. Nothing else in the message changes: nodes keep their order, names and
 * attributes, fields that this program does not know survive. A bias that other nodes use too gets a copy of its own first.
 */
public final class BiasWriter {
    /** From IR version 4 on an initializer need not be a graph input as well; before, a new constant is a Constant node. */
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
     * @param corrections for each layer of that model that is to change, delta per channel; whole steps where the bias has steps
     * @return the message of the corrected model
     * @throws UnsupportedException if an int32 bias would leave its range, naming layer and channel
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
        } else if (site instanceof BiasSite.StoredInt32 integer) {
            writeInteger(layer, integer, delta);
        } else if (site instanceof BiasSite.StoredBytes bytes) {
            writeBytes(layer, bytes, delta);
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
        TensorProto bias = site.steps().length == 0
                ? floatBias(layer, name, site.node(), delta)
                : StoredTensor.with(
                        StoredTensor.blank(name, TensorProto.DataType.INT32, delta.length),
                        moved(layer, new int[delta.length], delta, site.steps()));
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

    private void writeInteger(Layer layer, BiasSite.StoredInt32 site, float[] delta) {
        TensorProto old = sites.tensor(site.tensor())
                .orElseThrow(() -> new UnsupportedException("the int32 bias '" + site.tensor() + "' of layer '"
                        + layer.name() + "' is computed; rebias needs it stored"));
        TensorProto changed = StoredTensor.with(old, moved(layer, StoredTensor.ints(old), delta, site.steps()));
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
        String stored = newName(biasName(layer) + "_int32");
        addConstant(site.node(), changed.toBuilder().setName(stored).build());
        NodeProto dequantize = sites.model().proto().getGraph().getNode(site.dequantizer());
        addBefore(
                site.node(),
                dequantize.toBuilder()
                        .setName(name)
                        .setInput(0, stored)
                        .setOutput(0, name)
                        .build());
        rewire(site.node(), site.input(), name);
    }

    private void writeBytes(Layer layer, BiasSite.StoredBytes site, float[] delta) {
        TensorProto old = sites.tensor(site.tensor()).orElseThrow();
        long[] stored = StoredTensor.integers(old).orElseThrow();
        long[] values = new long[delta.length];
        long least = site.type() == ElementType.UINT8 ? 0 : Byte.MIN_VALUE;
        for (int c = 0; c < values.length; c++) {
            values[c] = stored[stored.length == 1 ? 0 : c] + Math.round((double) delta[c] / site.steps()[c]);
            if (values[c] < least || values[c] > least + 255) {
                throw new UnsupportedException("layer '" + layer.name() + "', channel " + c
                        + ": the corrected bias of " + values[c] + " steps of " + site.steps()[c] + " does not fit "
                        + site.type() + ": give the bias a larger scale, or exclude the layer");
            }
        }
        TensorProto changed = StoredTensor.withBytes(old, values);
        if (sites.uses(site.tensor()) == 1) {
            replace(site.tensor(), changed);
        } else {
            String name = newName(biasName(layer));
            addConstant(site.node(), changed.toBuilder().setName(name).build());
            rewire(site.node(), site.input(), name);
        }
    }

    /** A MatMul's output gets another name, and an Add makes the old one, so that every user of it sees the corrected tensor. */
    private void insertAdd(Layer layer, int node, float[] delta) {
        String output = graph.getNode(node).getOutput(0);
        String uncorrected = newName(output + "_uncorrected");
        String bias = newName(biasName(layer));
        graph.setNode(node, graph.getNode(node).toBuilder().setOutput(0, uncorrected));
        addConstant(node, StoredTensor.with(StoredTensor.blank(bias, TensorProto.DataType.FLOAT, delta.length), delta));
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
                StoredTensor.blank(name, TensorProto.DataType.FLOAT, delta.length), values(layer, node, delta));
        if (layer.apart().isEmpty()) {
            return bias;
        }
        List<Long> shape = Arrays.stream(layer.biasShape()).boxed().toList();
        return bias.toBuilder().clearDims().addAllDims(shape).build();
    }

    /** The float bias to store: (b + delta) / beta, beta being a Gemm's factor on its third input, or the sign of a constant that is added or subtracted. */
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

    private int[] moved(Layer layer, int[] old, float[] delta, float[] steps) {
        int[] out = new int[delta.length];
        for (int c = 0; c < out.length; c++) {
            double value = old[c] + Math.rint((double) delta[c] / steps[c]);
            if (!(Math.abs(value) <= Integer.MAX_VALUE)) {
                throw new UnsupportedException(
                        "layer '" + layer.name() + "', channel " + c + ": the corrected bias of " + value + " steps of "
                                + steps[c] + " does not fit int32: give the layer a float bias, or exclude it");
            }
            out[c] = (int) value;
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
