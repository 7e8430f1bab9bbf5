package dev.rebias.model;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A corrected model in which every corrected layer stands twice: with its new bias and with the old one, on the same
 * data. Each layer's mean difference per channel is an output; it is the correction that the file really makes,
 * whatever rounding comes from upstream.
 */
public final class CorrectionProbe {
    /** From this version of the operator set on, ReduceMean takes its axes as an input. */
    private static final long AXES_AS_INPUT = 18;

    /**
     * What the probe shows of one layer.
     *
     * @param layer its name
     * @param moved the output with the mean difference of each channel: FLOAT [channels]
     * @param size the output with the mean absolute value of the layer's own output: FLOAT []
     * @param actual of a QOperator node, its own output (integers)
     * @param expected and what follows from its new bias in float arithmetic, in the same integers
     */
    public record View(String layer, String moved, String size, Optional<String> actual, Optional<String> expected) {}

    private final BiasSites sites;
    private final ModelProto.Builder model;
    private final GraphProto.Builder graph;
    private final Map<String, NodeProto> makers = new HashMap<>();
    private final List<View> views = new ArrayList<>();
    private final long opset;

    private CorrectionProbe(BiasSites sites, OnnxModel written) {
        this.sites = sites;
        ModelProto computed = written.computed().proto();
        this.opset = OnnxModel.opset(computed);
        this.model = computed.toBuilder();
        this.graph = model.getGraphBuilder();
        graph.getNodeList().forEach(n -> n.getOutputList().forEach(o -> makers.put(o, n)));
    }

    /** The serialised probe, and what its outputs show. */
    public record Probe(byte[] bytes, List<View> views) {}

    /**
     * Makes the probe of a written model.
     *
     * @param sites where the biases of the model that was corrected are
     * @param layers the layers of that model that were corrected
     */
    public static Probe of(BiasSites sites, OnnxModel written, List<Layer> layers) {
        CorrectionProbe probe = new CorrectionProbe(sites, written);
        layers.forEach(probe::add);
        List<String> wanted = new ArrayList<>();
        for (View view : probe.views) {
            wanted.addAll(List.of(view.moved(), view.size()));
            view.actual().ifPresent(wanted::add);
            view.expected().ifPresent(wanted::add);
        }
        probe.graph.clearOutput();
        OnnxModel whole = new OnnxModel(written.name(), written.folder(), probe.model.build(), written.hints());
        return new Probe(ProbedModel.withOutputs(whole, wanted), List.copyOf(probe.views));
    }

    private void add(Layer layer) {
        BiasSite site = sites.find(layer);
        NodeProto before = sites.model().proto().getGraph().getNode(site.node());
        NodeProto after = makers.get(before.getOutput(0));
        if (after == null) {
            return;
        }
        String name = "probe/" + views.size();
        if (QOperators.TYPES.contains(after.getOpType()) || after.getOpType().equals(QOperators.ADD)) {
            addOperator(layer, site, after, name);
        } else if (site instanceof BiasSite.NewAdd) {
            show(layer, after.getOutput(0), after.getInput(0), name, Optional.empty(), Optional.empty());
        } else {
            NodeProto old = withBias(after, site.input(), oldBias(site, name + "/bias"));
            graph.addNode(old.toBuilder().setName(name).setOutput(0, name + "/before"));
            show(layer, after.getOutput(0), name + "/before", name, Optional.empty(), Optional.empty());
        }
    }

    /** A QOperator's sums are no tensor of the file: it is written out in floats, with either bias. */
    private void addOperator(Layer layer, BiasSite site, NodeProto after, String name) {
        String now = lowered(after, name + "/after");
        String then = lowered(withBias(after, site.input(), oldBias(site, name + "/bias")), name + "/before");
        boolean quantized = !now.equals(name + "/after");
        show(
                layer,
                now,
                then,
                name,
                quantized ? Optional.of(after.getOutput(0)) : Optional.empty(),
                quantized ? Optional.of(name + "/after") : Optional.empty());
    }

    /** Adds the nodes that compute the same, and gives the tensor of the sums. */
    private String lowered(NodeProto node, String output) {
        NodeProto renamed =
                node.toBuilder().setName(output).setOutput(0, output).build();
        List<NodeProto> nodes = node.getOpType().equals(QOperators.ADD)
                ? QOperators.lowerAdd(renamed, this::rank)
                : QOperators.lower(renamed, this::rank);
        nodes.forEach(graph::addNode);
        return nodes.stream()
                .filter(n -> n.getName().equals(output))
                .findFirst()
                .orElse(nodes.get(nodes.size() - 1))
                .getOutput(0);
    }

    /** The rank of a constant, those of the probe itself among them; -1 for other tensors. */
    private int rank(String tensor) {
        return sites.tensor(tensor)
                .or(() -> graph.getInitializerList().stream()
                        .filter(i -> i.getName().equals(tensor))
                        .findFirst())
                .map(TensorProto::getDimsCount)
                .orElse(-1);
    }

    private static NodeProto withBias(NodeProto node, int input, String tensor) {
        NodeProto.Builder changed = node.toBuilder();
        if (tensor.isEmpty() && input == node.getInputCount() - 1) {
            return changed.clearInput()
                    .addAllInput(node.getInputList().subList(0, input))
                    .build();
        }
        return changed.setInput(input, tensor).build();
    }

    /** The tensor of the bias as it was before the correction; empty where there was none. */
    private String oldBias(BiasSite site, String name) {
        GraphProto before = sites.model().proto().getGraph();
        if (site instanceof BiasSite.Stored stored) {
            return addFloats(name, stored.tensor());
        }
        if (site instanceof BiasSite.StoredIntegers integers) {
            TensorProto old = sites.tensor(integers.tensor()).orElseThrow();
            boolean direct = integers.dequantizer() < 0;
            String stored = direct ? name : name + "/stored";
            graph.addInitializer(old.toBuilder().setName(stored));
            return direct ? stored : addCopy(before.getNode(integers.dequantizer()), stored, name);
        }
        if (site instanceof BiasSite.Requantized requantized) {
            String floats = addFloats(name + "/floats", requantized.tensor());
            String quantized = addCopy(before.getNode(requantized.quantizer()), floats, name + "/quantized");
            return addCopy(before.getNode(requantized.dequantizer()), quantized, name);
        }
        // The expression is still there; and an absent bias has no tensor.
        return site instanceof BiasSite.Computed ? before.getNode(site.node()).getInput(site.input()) : "";
    }

    /** A stored tensor of floats as it was, as FLOAT. */
    private String addFloats(String name, String tensor) {
        TensorProto old = sites.tensor(tensor).orElseThrow();
        TensorProto.Builder floats = TensorProto.newBuilder()
                .setName(name)
                .setDataType(TensorProto.DataType.FLOAT.getNumber())
                .addAllDims(old.getDimsList());
        for (float v : StoredTensor.floats(old)) {
            floats.addFloatData(v);
        }
        graph.addInitializer(floats);
        return name;
    }

    private String addCopy(NodeProto node, String input, String output) {
        // The written model's node of that output has the computed form's constants.
        NodeProto computed = makers.getOrDefault(node.getOutput(0), node);
        graph.addNode(computed.toBuilder().setName(output).setInput(0, input).setOutput(0, output));
        return output;
    }

    /** Outputs of a layer's mean movement and mean size. */
    private void show(
            Layer layer, String after, String before, String name, Optional<String> actual, Optional<String> expected) {
        int rank = layer.weightShape().length;
        boolean last = layer.op().channelAxis(rank) == rank - 1;
        long channels = layer.channels();
        String difference = node("Sub", name + "/difference", List.of(after, before));
        // [samples, channels, positions], or [rows, channels] where channels are the last axis.
        String shape = longs(name + "/shape", last ? List.of(-1L, channels) : List.of(0L, channels, -1L));
        String rows = node("Reshape", name + "/rows", List.of(difference, shape));
        String moved = mean(name + "/moved", rows, last ? List.of(0L) : List.of(0L, 2L));
        String size = mean(name + "/size", node("Abs", name + "/magnitude", List.of(after)), List.of());
        views.add(new View(layer.name(), moved, size, actual, expected));
    }

    /** The mean over some axes; over all where none are named. */
    private String mean(String name, String data, List<Long> axes) {
        NodeProto.Builder node = NodeProto.newBuilder()
                .setOpType("ReduceMean")
                .setName(name)
                .addInput(data)
                .addOutput(name)
                .addAttribute(integers("keepdims", AttributeProto.AttributeType.INT, List.of(0L)));
        if (!axes.isEmpty() && opset >= AXES_AS_INPUT) {
            node.addInput(longs(name + "/axes", axes));
        } else if (!axes.isEmpty()) {
            node.addAttribute(integers("axes", AttributeProto.AttributeType.INTS, axes));
        }
        graph.addNode(node);
        return name;
    }

    private static AttributeProto integers(String name, AttributeProto.AttributeType type, List<Long> values) {
        AttributeProto.Builder attribute =
                AttributeProto.newBuilder().setName(name).setType(type);
        return type == AttributeProto.AttributeType.INT
                ? attribute.setI(values.get(0)).build()
                : attribute.addAllInts(values).build();
    }

    private String node(String type, String output, List<String> inputs) {
        graph.addNode(NodeProto.newBuilder()
                .setOpType(type)
                .setName(output)
                .addAllInput(inputs)
                .addOutput(output));
        return output;
    }

    private String longs(String name, List<Long> values) {
        graph.addInitializer(TensorProto.newBuilder()
                .setName(name)
                .setDataType(TensorProto.DataType.INT64.getNumber())
                .addDims(values.size())
                .addAllInt64Data(values));
        return name;
    }
}
