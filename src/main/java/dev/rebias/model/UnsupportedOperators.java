package dev.rebias.model;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.error.UnsupportedException;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/**
 * Nodes that quantisers and optimisers write and nobody but they can run or correct: what they are, and how to get a
 * file without them.
 */
final class UnsupportedOperators {
    /** The domains whose operators ONNX Runtime knows on every machine. */
    private static final Set<String> KNOWN =
            Set.of("", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", "com.microsoft");

    private static final String DYNAMIC_QUANTISER = "DynamicQuantizeLinear";

    /** Operators that compute their scales anew for every input. */
    private static final Set<String> DYNAMIC = Set.of(
            "ConvInteger",
            "MatMulInteger",
            DYNAMIC_QUANTISER,
            "DynamicQuantizeMatMul",
            "DynamicQuantizeLSTM",
            "MatMulIntegerToFloat");

    private static final String QDQ = "export it with QuantizeLinear and DequantizeLinear (QDQ)";

    /** The ways out, by the start of a domain. */
    private static final Map<String, String> CURES = Map.ofEntries(
            Map.entry("qonnx.", brevitas()),
            Map.entry("finn.", brevitas()),
            Map.entry("onnx.brevitas", brevitas()),
            Map.entry(
                    "aimet",
                    "AIMET's own quantisers; " + QDQ
                            + ": aimet_onnx writes it with sim.to_onnx_qdq(), aimet_torch with "
                            + "aimet_torch.onnx.export"),
            Map.entry(
                    "org.openvinotoolkit",
                    "NNCF's FakeQuantize; " + QDQ + ": call nncf.strip before torch.onnx.export"),
            Map.entry(
                    "com.amd.quark",
                    "Quark's extended quantisers; " + QDQ
                            + ": choose a configuration with quant_format=QuantFormat.QDQ"),
            Map.entry("com.vai", vitis()),
            Map.entry("vai", vitis()),
            Map.entry("trt", "a TensorRT operator; " + QDQ + ", in int8"),
            Map.entry(
                    "ai.onnx.contrib",
                    "pre- or post-processing of ONNX Runtime's extensions; export the network without it"),
            Map.entry("com.microsoft.nchwc", optimised("NCHWc")),
            Map.entry("com.ms.internal.nhwc", optimised("NHWC")));

    /** Layers that ONNX Runtime's optimiser has made one node of with what follows, or in another layout. */
    private static final Set<String> FUSED =
            Set.of("FusedConv", "FusedGemm", "FusedMatMul", "FusedMatMulActivation", "NhwcConv", "NhwcFusedConv");

    private UnsupportedOperators() {}

    private static String brevitas() {
        return "a quantiser of Brevitas or QONNX; " + QDQ
                + ": Brevitas writes it with export_onnx_qcdq, and qonnx-convert --output-style qcdq converts a file";
    }

    private static String vitis() {
        return "a quantiser of Vitis AI; " + QDQ + ": choose quant_format=QuantFormat.QDQ instead of VitisQuantFormat";
    }

    private static String optimised(String layout) {
        return "made by ONNX Runtime's optimiser for one machine (" + layout + " layout); "
                + "give the file from before that optimisation, or save it with ORT_ENABLE_BASIC";
    }

    /**
     * Looks at every node of a model, also within others.
     *
     * @throws UnsupportedException if there is one that cannot be run
     */
    static void refuse(OnnxModel model) {
        for (NodeProto node : nodes(model.proto().getGraph()).toList()) {
            if (!KNOWN.contains(node.getDomain())) {
                throw new UnsupportedException(describe(node, model) + " of domain '" + node.getDomain()
                        + "', which ONNX Runtime does not know: " + cure(node.getDomain()));
            }
        }
    }

    /**
     * Looks for operators that quantise anew with every batch.
     *
     * @throws UnsupportedException if there is one
     */
    static void refuseDynamic(OnnxModel model) {
        Optional<NodeProto> dynamic = Optional.empty();
        for (NodeProto node : nodes(model.proto().getGraph()).toList()) {
            // A layer says more than the quantiser before it.
            if (DYNAMIC.contains(node.getOpType())
                    && (dynamic.isEmpty() || dynamic.get().getOpType().equals(DYNAMIC_QUANTISER))) {
                dynamic = Optional.of(node);
            }
        }
        if (dynamic.isPresent()) {
            throw new UnsupportedException(describe(dynamic.get(), model)
                    + ": the model is quantised dynamically, its activations get new scales with every batch, so "
                    + "no layer has one error that a bias could make good; "
                    + "quantise it statically, in QDQ form (onnxruntime.quantization.quantize_static)");
        }
    }

    /** The nodes of a graph, and of those within them. */
    private static Stream<NodeProto> nodes(GraphProto graph) {
        return graph.getNodeList().stream()
                .flatMap(n -> Stream.concat(
                        Stream.of(n),
                        n.getAttributeList().stream()
                                .flatMap(a -> Stream.concat(
                                        a.getGraphsList().stream(), a.hasG() ? Stream.of(a.getG()) : Stream.empty()))
                                .flatMap(UnsupportedOperators::nodes)));
    }

    private static String describe(NodeProto node, OnnxModel model) {
        String name = node.getName().isEmpty() && node.getOutputCount() > 0 ? node.getOutput(0) : node.getName();
        return "node '" + name + "' of '" + model.name() + "' is a " + node.getOpType();
    }

    private static String cure(String domain) {
        return CURES.entrySet().stream()
                .filter(e -> domain.startsWith(e.getKey()))
                .map(Map.Entry::getValue)
                .findFirst()
                .orElse("export the model with ONNX's own operators; if this one quantises, with QuantizeLinear "
                        + "and DequantizeLinear (QDQ)");
    }

    /** Why a node that works like a layer is none that can be corrected. */
    static Optional<String> notALayer(NodeProto node) {
        if (!node.getDomain().equals("com.microsoft")) {
            return Optional.empty();
        }
        if (FUSED.contains(node.getOpType())) {
            return Optional.of(
                    "a layer that ONNX Runtime's optimiser fused; give the file from before that optimisation, or "
                            + "save it with ORT_ENABLE_BASIC");
        }
        return node.getOpType().equals("MatMulNBits")
                ? Optional.of("its weights are quantised in blocks; " + QDQ)
                : Optional.empty();
    }
}
