package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;

/** Bias correction as DESIGN.md section 3 defines it, evaluated without any short cut. */
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

    /** What a layer's correction is: delta per channel, and the mean squared error without and with it, both evaluated. */
    record LayerCorrection(double[] delta, double mseBefore, double mseAfter) {}

    private final ModelProto floating;
    private final ModelProto quantized;
    private final boolean network;
    private final UnaryOperator<NaiveTensor> disturbance;
    private final Map<String, LayerCorrection> results = new LinkedHashMap<>();

    private NaiveCorrection(
            ModelProto floating, ModelProto quantized, boolean network, UnaryOperator<NaiveTensor> disturbance) {
        this.floating = floating;
        this.quantized = quantized;
        this.network = network;
        this.disturbance = disturbance;
    }

    /**
     * Corrects every layer whose weights are constant; layers pair by order of appearance.
     *
     * @param network whether the reference is the float network's own activations, else the float layer on the quantised input
     * @return by the output of the layer's node in the quantised model
     */
    static Map<String, LayerCorrection> correct(
            ModelProto floating, ModelProto quantized, Map<String, NaiveTensor> inputs, boolean network) {
        return correct(floating, quantized, inputs, network, UnaryOperator.identity());
    }

    /**
     * The same with every float that a node of the quantised model computes passed through a disturbance, to see how far rounding alone moves
     * corrections.
     */
    static Map<String, LayerCorrection> correct(
            ModelProto floating,
            ModelProto quantized,
            Map<String, NaiveTensor> inputs,
            boolean network,
            UnaryOperator<NaiveTensor> disturbance) {
        NaiveCorrection correction = new NaiveCorrection(floating, quantized, network, disturbance);
        correction.run(inputs);
        return correction.results;
    }

    /** The nodes with constant weights, in order. */
    static List<NodeProto> layers(ModelProto model) {
        List<String> variable = new ArrayList<>();
        model.getGraph().getInputList().forEach(i -> variable.add(i.getName()));
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

    /** The node behind a layer that belongs to it: the Add of a MatMul's constant bias, or a BatchNormalization; else null. */
    private static NodeProto companion(ModelProto model, NodeProto layer, Map<String, NaiveTensor> constants) {
        String type = layer.getOpType().equals("MatMul") ? "Add" : "BatchNormalization";
        for (NodeProto node : model.getGraph().getNodeList()) {
            if (node.getOpType().equals(type) && node.getInputList().contains(layer.getOutput(0))) {
                String other = node.getInput(node.getInput(0).equals(layer.getOutput(0)) ? 1 : 0);
                if (constants.containsKey(other) && constants.get(other).rank() <= 1) {
                    return node;
                }
            }
        }
        return null;
    }

    private void run(Map<String, NaiveTensor> inputs) {
        Map<String, NaiveTensor> floatConstants = new NaiveNetwork(floating).constants();
        Map<String, NaiveTensor> constants = new NaiveNetwork(quantized).constants();
        Map<String, NaiveTensor> floatTensors = network ? new NaiveNetwork(floating).run(inputs) : floatConstants;
        List<NodeProto> floatLayers = layers(floating);
        List<NodeProto> quantizedLayers = layers(quantized);
        if (floatLayers.size() != quantizedLayers.size()) {
            throw new IllegalArgumentException(
                    floatLayers.size() + " float layers, " + quantizedLayers.size() + " quantised");
        }
        // By the tensor at which the error is measured: the layer's own output, or that of the Add behind a MatMul.
        Map<String, Integer> measured = new LinkedHashMap<>();
        Map<String, NodeProto> normalizations = new LinkedHashMap<>();
        for (int i = 0; i < quantizedLayers.size(); i++) {
            NodeProto behind = companion(quantized, quantizedLayers.get(i), constants);
            boolean add = behind != null && behind.getOpType().equals("Add");
            measured.put(add ? behind.getOutput(0) : quantizedLayers.get(i).getOutput(0), i);
            NodeProto floatBehind = companion(floating, floatLayers.get(i), floatConstants);
            if (floatBehind != null && (floatBehind.getOpType().equals("Add") || behind == null)) {
                normalizations.put(floatLayers.get(i).getOutput(0), floatBehind);
            }
        }
        new NaiveNetwork(quantized).run(inputs, (node, exact, tensors) -> {
            boolean computed = !EXACT.contains(node.getOpType())
                    && node.getInputList().stream().anyMatch(i -> !i.isEmpty() && !constants.containsKey(i));
            NaiveTensor output = computed ? disturbance.apply(exact) : exact;
            Integer index = measured.get(node.getOutput(0));
            if (index == null) {
                return output;
            }
            NodeProto f = floatLayers.get(index);
            NodeProto behind = normalizations.get(f.getOutput(0));
            NaiveTensor reference = network
                    ? floatTensors.get(behind == null ? f.getOutput(0) : behind.getOutput(0))
                    : reference(
                            f, behind, tensors.get(quantizedLayers.get(index).getInput(0)), floatTensors);
            return correct(quantizedLayers.get(index), reference, output, tensors);
        });
    }

    /** The float layer applied to the quantised network's input. */
    private static NaiveTensor reference(
            NodeProto f, NodeProto behind, NaiveTensor x, Map<String, NaiveTensor> tensors) {
        NaiveTensor bias = f.getInputCount() > 2 && !f.getInput(2).isEmpty() ? tensors.get(f.getInput(2)) : null;
        NaiveTensor y = NaiveLayers.run(f, x, tensors.get(f.getInput(1)), bias);
        if (behind == null) {
            return y;
        }
        List<NaiveTensor> in = new ArrayList<>();
        behind.getInputList().forEach(name -> in.add(name.equals(f.getOutput(0)) ? y : tensors.get(name)));
        return behind.getOpType().equals("Add")
                ? NaiveOps.binary(in.get(0), in.get(1), Double::sum)
                : NaiveNetwork.batchNormalization(behind, in);
    }

    private NaiveTensor correct(
            NodeProto layer, NaiveTensor reference, NaiveTensor output, Map<String, NaiveTensor> tensors) {
        int axis = layer.getOpType().equals("MatMul") ? output.rank() - 1 : 1;
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
        round(layer, delta, tensors);
        double after = 0;
        NaiveTensor corrected = NaiveTensor.zeros(output.shape());
        for (int i = 0; i < n; i++) {
            corrected.values()[i] = output.values()[i] + delta[i / inner % channels];
            double e = reference.values()[i] - corrected.values()[i];
            after += e * e / n;
        }
        results.put(layer.getOutput(0), new LayerCorrection(delta, before, after));
        return corrected;
    }

    /** A bias of int32 behind a DequantizeLinear moves in whole steps. */
    private void round(NodeProto layer, double[] delta, Map<String, NaiveTensor> tensors) {
        if (layer.getInputCount() < 3) {
            return;
        }
        for (NodeProto node : quantized.getGraph().getNodeList()) {
            if (node.getOpType().equals("DequantizeLinear") && node.getOutput(0).equals(layer.getInput(2))) {
                double[] scale = tensors.get(node.getInput(1)).values();
                for (int c = 0; c < delta.length; c++) {
                    double step = scale[scale.length == 1 ? 0 : c];
                    delta[c] = Math.rint(delta[c] / step) * step;
                }
            }
        }
    }
}
