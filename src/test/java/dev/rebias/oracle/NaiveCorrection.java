package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;

/** Bias correction as docs/architecture.md defines it, evaluated without any short cut. */
final class NaiveCorrection {
    private static final Set<String> LAYERS = Set.of("Conv", "ConvTranspose", "Gemm", "MatMul");

    /** Nodes that give integers, or hand values through. */
    private static final Set<String> EXACT = Set.of(
            "QuantizeLinear",
            "Shape",
            "Slice",
            "Cast",
            "Concat",
            "Reshape",
            "Transpose",
            "Squeeze",
            "Identity",
            "Resize",
            "Relu",
            "Clip");

    /**
     * What a layer's correction is: delta per channel, and the mean squared error without and with it, both evaluated.
     */
    record LayerCorrection(double[] delta, double mseBefore, double mseAfter) {}

    /** A layer in both models, by the outputs of its nodes. */
    record Pair(String quantizedOutput, String floatOutput) {}

    /**
     * Where a layer is corrected.
     *
     * @param layer the layer in the quantised model
     * @param bias the tensor that the correction goes into, where there is one
     * @param floating the layer in the float model
     * @param behind the node behind the float layer that belongs to the reference: the Add of its bias, or a folded
     *     BatchNormalization
     */
    private record Site(NodeProto layer, Optional<String> bias, NodeProto floating, Optional<NodeProto> behind) {
        /** The reference's tensor in the float model. */
        String reference() {
            return behind.orElse(floating).getOutput(0);
        }
    }

    private final ModelProto quantized;
    private final Map<String, NaiveTensor> constants;
    private final Map<String, NaiveTensor> floatTensors;
    private final boolean network;
    private final UnaryOperator<NaiveTensor> disturbance;
    /** By the tensor at which the error is measured: the layer's own output, or that of the Add behind a MatMul. */
    private final Map<String, Site> sites = new HashMap<>();

    private final Map<String, LayerCorrection> results = new LinkedHashMap<>();

    private NaiveCorrection(
            ModelProto floating,
            ModelProto quantized,
            Map<String, NaiveTensor> inputs,
            boolean network,
            List<Pair> pairs,
            UnaryOperator<NaiveTensor> disturbance) {
        this.quantized = quantized;
        this.network = network;
        this.disturbance = disturbance;
        constants = new NaiveNetwork(quantized).constants();
        Map<String, NaiveTensor> floatConstants = new NaiveNetwork(floating).constants();
        floatTensors = network ? new NaiveNetwork(floating).run(inputs) : floatConstants;
        Map<String, NodeProto> floatLayers = byOutput(layers(floating));
        Map<String, NodeProto> quantizedLayers = byOutput(layers(quantized));
        for (Pair pair : pairs) {
            NodeProto q = known(quantizedLayers, pair.quantizedOutput());
            NodeProto f = known(floatLayers, pair.floatOutput());
            Optional<NodeProto> own = companion(quantized, q, constants);
            // A BatchNormalization belongs to the float layer only where the quantised model has none: there it is
            // folded.
            Optional<NodeProto> behind = companion(floating, f, floatConstants)
                    .filter(n -> n.getOpType().equals("Add") || own.isEmpty());
            Optional<NodeProto> add = own.filter(n -> n.getOpType().equals("Add"));
            Optional<String> bias = q.getInputCount() > 2 && !q.getInput(2).isEmpty()
                    ? Optional.of(q.getInput(2))
                    : add.map(n -> other(n, q.getOutput(0)));
            sites.put(add.orElse(q).getOutput(0), new Site(q, bias, f, behind));
        }
    }

    /**
     * Corrects every layer whose weights are constant; layers pair by order of appearance.
     *
     * @param network whether the reference is the float network's own activations, else the float layer on the
     *     quantised input
     * @return by the output of the layer's node in the quantised model, in the order of its graph
     */
    static Map<String, LayerCorrection> correct(
            ModelProto floating, ModelProto quantized, Map<String, NaiveTensor> inputs, boolean network) {
        return correct(floating, quantized, inputs, network, UnaryOperator.identity());
    }

    /**
     * The same with every float that a node of the quantised model computes passed through a disturbance, to see how
     * far rounding alone moves corrections.
     */
    static Map<String, LayerCorrection> correct(
            ModelProto floating,
            ModelProto quantized,
            Map<String, NaiveTensor> inputs,
            boolean network,
            UnaryOperator<NaiveTensor> disturbance) {
        return correct(floating, quantized, inputs, network, pairsByOrder(floating, quantized), disturbance);
    }

    /** Corrects the layers of the given pairs only. */
    static Map<String, LayerCorrection> correct(
            ModelProto floating,
            ModelProto quantized,
            Map<String, NaiveTensor> inputs,
            boolean network,
            List<Pair> pairs,
            UnaryOperator<NaiveTensor> disturbance) {
        NaiveCorrection correction = new NaiveCorrection(floating, quantized, inputs, network, pairs, disturbance);
        new NaiveNetwork(quantized).run(inputs, correction::after);
        return correction.results;
    }

    /** The nodes with constant weights, in order. */
    static List<NodeProto> layers(ModelProto model) {
        Set<String> variable = new HashSet<>();
        Set<String> stored = new HashSet<>();
        model.getGraph().getInitializerList().forEach(t -> stored.add(t.getName()));
        model.getGraph().getInputList().forEach(i -> variable.add(i.getName()));
        // Up to IR version 3 initializers are listed among the inputs too.
        variable.removeAll(stored);
        List<NodeProto> layers = new ArrayList<>();
        for (NodeProto node : model.getGraph().getNodeList()) {
            if (node.getInputList().stream().anyMatch(variable::contains)) {
                variable.addAll(node.getOutputList());
                if (LAYERS.contains(node.getOpType()) && !variable.contains(node.getInput(1))) {
                    layers.add(node);
                }
            }
        }
        return layers;
    }

    /** The k-th layer of one model is the k-th of the other. */
    static List<Pair> pairsByOrder(ModelProto floating, ModelProto quantized) {
        List<NodeProto> f = layers(floating);
        List<NodeProto> q = layers(quantized);
        if (!f.stream()
                .map(NodeProto::getOpType)
                .toList()
                .equals(q.stream().map(NodeProto::getOpType).toList())) {
            throw new IllegalArgumentException(f.size() + " float layers, " + q.size() + " others quantised");
        }
        List<Pair> pairs = new ArrayList<>();
        for (int i = 0; i < f.size(); i++) {
            pairs.add(new Pair(q.get(i).getOutput(0), f.get(i).getOutput(0)));
        }
        return pairs;
    }

    /**
     * Layers whose outputs, those of a folded BatchNormalization or of a MatMul's Add included, have one name; others
     * are left out.
     */
    static List<Pair> pairsByOutput(ModelProto floating, ModelProto quantized) {
        Map<String, NaiveTensor> floatConstants = new NaiveNetwork(floating).constants();
        Map<String, String> ends = new HashMap<>();
        for (NodeProto f : layers(floating)) {
            companion(floating, f, floatConstants).ifPresent(n -> ends.put(n.getOutput(0), f.getOutput(0)));
            ends.put(f.getOutput(0), f.getOutput(0));
        }
        return layers(quantized).stream()
                .map(q -> q.getOutput(0))
                .filter(ends::containsKey)
                .map(q -> new Pair(q, ends.get(q)))
                .toList();
    }

    private static Map<String, NodeProto> byOutput(List<NodeProto> nodes) {
        Map<String, NodeProto> named = new HashMap<>();
        nodes.forEach(n -> named.put(n.getOutput(0), n));
        return named;
    }

    private static NodeProto known(Map<String, NodeProto> layers, String output) {
        return Optional.ofNullable(layers.get(output))
                .orElseThrow(() -> new IllegalArgumentException("no layer with constant weights makes " + output));
    }

    private static String other(NodeProto binary, String operand) {
        return binary.getInput(binary.getInput(0).equals(operand) ? 1 : 0);
    }

    /**
     * The node behind a layer that belongs to it, being all that reads it: the Add of a MatMul's bias per channel, or a
     * BatchNormalization.
     */
    private static Optional<NodeProto> companion(
            ModelProto model, NodeProto layer, Map<String, NaiveTensor> constants) {
        String output = layer.getOutput(0);
        List<NodeProto> readers = model.getGraph().getNodeList().stream()
                .filter(n -> n.getInputList().contains(output))
                .toList();
        boolean alone = readers.size() == 1
                && model.getGraph().getOutputList().stream()
                        .noneMatch(o -> o.getName().equals(output));
        if (!alone) {
            return Optional.empty();
        }
        NodeProto reader = readers.get(0);
        if (!layer.getOpType().equals("MatMul")) {
            return Optional.of(reader).filter(n -> n.getOpType().equals("BatchNormalization"));
        }
        if (!reader.getOpType().equals("Add") || !constants.containsKey(other(reader, output))) {
            return Optional.empty();
        }
        int[] weights = constants.get(layer.getInput(1)).shape();
        int[] bias = constants.get(other(reader, output)).shape();
        int channels = weights[weights.length - 1];
        boolean perChannel = bias.length > 0
                && bias[bias.length - 1] == channels
                && Arrays.stream(bias, 0, bias.length - 1).allMatch(d -> d == 1);
        return perChannel ? Optional.of(reader) : Optional.empty();
    }

    private NaiveTensor after(NodeProto node, NaiveTensor exact, Map<String, NaiveTensor> tensors) {
        boolean computed = !EXACT.contains(node.getOpType())
                && node.getInputList().stream().anyMatch(i -> !i.isEmpty() && !constants.containsKey(i));
        NaiveTensor output = computed ? disturbance.apply(exact) : exact;
        Site site = sites.get(node.getOutput(0));
        if (site == null) {
            return output;
        }
        NaiveTensor reference = network
                ? floatTensors.get(site.reference())
                : reference(site, tensors.get(site.layer().getInput(0)));
        return correct(site, reference, output);
    }

    /** The float layer applied to the quantised network's input. */
    private NaiveTensor reference(Site site, NaiveTensor x) {
        NodeProto f = site.floating();
        NaiveTensor bias = f.getInputCount() > 2 && !f.getInput(2).isEmpty() ? floatTensors.get(f.getInput(2)) : null;
        NaiveTensor y = NaiveLayers.run(f, x, floatTensors.get(f.getInput(1)), bias);
        if (site.behind().isEmpty()) {
            return y;
        }
        NodeProto behind = site.behind().get();
        List<NaiveTensor> in = new ArrayList<>();
        behind.getInputList().forEach(name -> in.add(name.equals(f.getOutput(0)) ? y : floatTensors.get(name)));
        return behind.getOpType().equals("Add")
                ? NaiveOps.binary(in.get(0), in.get(1), Double::sum)
                : NaiveOps.batchNormalization(behind, in);
    }

    private NaiveTensor correct(Site site, NaiveTensor reference, NaiveTensor output) {
        if (!Arrays.equals(reference.shape(), output.shape())) {
            throw new IllegalArgumentException(site.layer().getOutput(0) + ": shapes differ");
        }
        boolean last = List.of("MatMul", "Gemm").contains(site.layer().getOpType());
        int axis = last ? output.rank() - 1 : 1;
        int channels = output.shape()[axis];
        int inner = output.span(axis + 1, output.rank());
        double[] delta = new double[channels];
        int n = output.values().length;
        double before = 0;
        for (int i = 0; i < n; i++) {
            double e = reference.values()[i] - output.values()[i];
            delta[i / inner % channels] += e * channels / n;
            before += e * e / n;
        }
        round(site, delta);
        double after = 0;
        NaiveTensor corrected = NaiveTensor.zeros(output.shape());
        for (int i = 0; i < n; i++) {
            corrected.values()[i] = output.values()[i] + delta[i / inner % channels];
            double e = reference.values()[i] - corrected.values()[i];
            after += e * e / n;
        }
        results.put(site.layer().getOutput(0), new LayerCorrection(delta, before, after));
        return corrected;
    }

    /** A bias of integers behind a DequantizeLinear moves in whole steps; a Gemm takes beta times its bias. */
    private void round(Site site, double[] delta) {
        for (NodeProto node : quantized.getGraph().getNodeList()) {
            boolean stored = node.getOpType().equals("DequantizeLinear")
                    && constants.containsKey(node.getInput(0))
                    && constants.get(node.getInput(0)).isInteger();
            if (stored && site.bias().filter(node.getOutput(0)::equals).isPresent()) {
                double[] scale = constants.get(node.getInput(1)).values();
                double beta = NaiveNetwork.real(site.layer(), "beta", 1);
                for (int c = 0; c < delta.length; c++) {
                    double step = beta * scale[scale.length == 1 ? 0 : c];
                    delta[c] = Math.rint(delta[c] / step) * step;
                }
            }
        }
    }
}
