package dev.rebias.golden;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import com.google.protobuf.ByteString;
import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.model.OnnxModel;
import dev.rebias.samples.Batches;
import dev.rebias.samples.Normalization;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import dev.rebias.tensor.HostTensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleUnaryOperator;
import java.util.function.Supplier;

/**
 * Pairs and samples with which bias correction can do harm: few samples, shifted ones, biases that are right already or
 * cannot hold what they should, a forgotten scale.
 */
final class AdversarialPairs {
    private AdversarialPairs() {}

    /**
     * A pair.
     *
     * @param what in which way it is adverse
     * @param shifted whether the samples are not of the kind that the network was made for
     */
    record Adverse(String what, ReferencePair base, OnnxModel quantized, Supplier<Samples> samples, boolean shifted) {
        @Override
        public String toString() {
            return base + ", " + what;
        }
    }

    private static final List<ReferencePair> BASES = List.of(
            ReferencePair.FASHION_W3A8,
            ReferencePair.FASHION_W4A4,
            ReferencePair.FASHION_W8A8_INT32_BIAS,
            ReferencePair.FASHION_W3A8_NO_BIAS,
            ReferencePair.OCR_W4A8,
            ReferencePair.OCR_W8A8);

    private static final Map<ReferencePair, OnnxModel> CORRECTED = new EnumMap<>(ReferencePair.class);

    /** Forty of them. */
    static List<Adverse> all() {
        List<Adverse> all = new ArrayList<>();
        for (ReferencePair base : BASES) {
            for (int n : new int[] {8, 16}) {
                all.add(new Adverse(
                        n + " samples",
                        base,
                        base.quantizedModel(),
                        () -> base.samples().spread(n),
                        false));
                all.add(new Adverse(
                        n + " samples, biases corrected before",
                        base,
                        corrected(base),
                        () -> base.samples().spread(n),
                        false));
            }
            all.add(new Adverse(
                    "samples brighter by half their range",
                    base,
                    base.quantizedModel(),
                    () -> changed(base, v -> v + 0.5),
                    true));
        }
        for (ReferencePair base :
                List.of(ReferencePair.FASHION_W3A8, ReferencePair.FASHION_W8A8_INT32_BIAS, ReferencePair.OCR_W4A8)) {
            all.add(new Adverse(
                    "forgotten scale",
                    base,
                    base.quantizedModel(),
                    () -> Samples.open(
                                    base.calibrationFile(),
                                    new Normalization(
                                            1,
                                            base.normalization().mean(),
                                            base.normalization().std()))
                            .spread(64),
                    true));
        }
        for (ReferencePair base : List.of(ReferencePair.FASHION_W3A8, ReferencePair.FASHION_W4A4)) {
            for (int n : new int[] {8, 64}) {
                all.add(new Adverse(
                        n + " samples, 8-bit biases",
                        base,
                        eightBitBiases(base.quantizedModel()),
                        () -> base.samples().spread(n),
                        false));
            }
        }
        for (int n : new int[] {8, 16, 64}) {
            ReferencePair base = ReferencePair.FASHION_W8A8_INT32_BIAS;
            all.add(new Adverse(
                    n + " samples, int32 biases at their limits",
                    base,
                    saturatedBiases(base.quantizedModel()),
                    () -> base.samples().spread(n),
                    false));
        }
        return all;
    }

    /** Corrected with all samples against the float network: what is left is noise. */
    private static OnnxModel corrected(ReferencePair base) {
        return CORRECTED.computeIfAbsent(base, AdversarialPairs::correct);
    }

    private static OnnxModel correct(ReferencePair base) {
        try (Samples samples = base.samples()) {
            BiasCorrection correction = base.correction();
            return correction
                    .correct(
                            samples,
                            CorrectionOptions.builder()
                                    .device("cpu")
                                    .reference(Reference.NETWORK)
                                    .outcome(false)
                                    .errors(false)
                                    .build())
                    .model();
        }
    }

    /** The samples with pixels, 0 to 1, made others. */
    private static Samples changed(ReferencePair base, DoubleUnaryOperator change) {
        Normalization own = base.normalization();
        try (Samples samples = base.samples();
                Batches batches =
                        samples.spread(64).bind(base.correction().inputs()).batches(64)) {
            HostTensor values = batches.next().get(0);
            float[] out = values.toFloats();
            for (int i = 0; i < out.length; i++) {
                double pixel = out[i] * own.std()[0] + own.mean()[0];
                out[i] = (float) ((change.applyAsDouble(pixel) - own.mean()[0]) / own.std()[0]);
            }
            return Samples.of(Map.of(base.correction().inputNames().get(0), HostTensor.of(out, values.shape())));
        }
    }

    /** Float biases of layers become int8 behind a DequantizeLinear, with one scale for each layer. */
    private static OnnxModel eightBitBiases(OnnxModel model) {
        ModelProto.Builder changed = model.proto().toBuilder();
        GraphProto.Builder graph = changed.getGraphBuilder();
        Map<String, Integer> initializers = new HashMap<>();
        for (int i = 0; i < graph.getInitializerCount(); i++) {
            initializers.put(graph.getInitializer(i).getName(), i);
        }
        List<NodeProto> dequantizers = new ArrayList<>();
        for (NodeProto node : graph.getNodeList()) {
            boolean layer = node.getOpType().equals("Conv") || node.getOpType().equals("Gemm");
            Integer at = layer && node.getInputCount() > 2 ? initializers.get(node.getInput(2)) : null;
            if (at == null || !graph.getInitializer(at).getName().equals(node.getInput(2))) {
                continue;
            }
            float[] bias = floats(graph.getInitializer(at));
            float most = 0;
            for (float b : bias) {
                most = Math.max(most, Math.abs(b));
            }
            float scale = Math.max(most, 1e-6f) / 100;
            byte[] stored = new byte[bias.length];
            for (int c = 0; c < stored.length; c++) {
                stored[c] = (byte) Math.round(bias[c] / scale);
            }
            String name = node.getInput(2);
            graph.setInitializer(
                    at,
                    TensorProto.newBuilder()
                            .setName(name + "_stored")
                            .setDataType(TensorProto.DataType.INT8.getNumber())
                            .addDims(bias.length)
                            .setRawData(ByteString.copyFrom(stored)));
            graph.addInitializer(TensorProto.newBuilder()
                    .setName(name + "_scale")
                    .setDataType(TensorProto.DataType.FLOAT.getNumber())
                    .addFloatData(scale));
            graph.addInitializer(TensorProto.newBuilder()
                    .setName(name + "_zero")
                    .setDataType(TensorProto.DataType.INT8.getNumber())
                    .addInt32Data(0));
            dequantizers.add(NodeProto.newBuilder()
                    .setName(name + "_dequantize")
                    .setOpType("DequantizeLinear")
                    .addInput(name + "_stored")
                    .addInput(name + "_scale")
                    .addInput(name + "_zero")
                    .addOutput(name)
                    .build());
        }
        if (dequantizers.isEmpty()) {
            throw new IllegalStateException("no layer of '" + model.name() + "' has a float bias");
        }
        List<NodeProto> nodes = new ArrayList<>(graph.getNodeList());
        graph.clearNode().addAllNode(dequantizers).addAllNode(nodes);
        return OnnxModel.of(model.name() + " with 8-bit biases", changed.build());
    }

    /** The scale of each int32 bias so small that its largest value is at the type's limit. */
    private static OnnxModel saturatedBiases(OnnxModel model) {
        ModelProto.Builder changed = model.proto().toBuilder();
        GraphProto.Builder graph = changed.getGraphBuilder();
        Map<String, Integer> initializers = new HashMap<>();
        for (int i = 0; i < graph.getInitializerCount(); i++) {
            initializers.put(graph.getInitializer(i).getName(), i);
        }
        int made = 0;
        for (NodeProto node : graph.getNodeList()) {
            Integer at = node.getOpType().equals("DequantizeLinear") ? initializers.get(node.getInput(0)) : null;
            if (at == null || graph.getInitializer(at).getDataType() != TensorProto.DataType.INT32.getNumber()) {
                continue;
            }
            TensorProto bias = graph.getInitializer(at);
            ByteBuffer raw = ByteBuffer.wrap(bias.getRawData().toByteArray()).order(ByteOrder.LITTLE_ENDIAN);
            float[] scales = floats(graph.getInitializer(initializers.get(node.getInput(1))));
            int n = raw.capacity() / Integer.BYTES;
            double most = 0;
            for (int c = 0; c < n; c++) {
                most = Math.max(
                        most, Math.abs((double) raw.getInt(Integer.BYTES * c) * scales[scales.length == 1 ? 0 : c]));
            }
            float scale = (float) (most / Integer.MAX_VALUE);
            ByteBuffer stored = ByteBuffer.allocate(raw.capacity()).order(ByteOrder.LITTLE_ENDIAN);
            for (int c = 0; c < n; c++) {
                double value = (double) raw.getInt(Integer.BYTES * c) * scales[scales.length == 1 ? 0 : c];
                stored.putInt(Integer.BYTES * c, (int)
                        Math.max(Integer.MIN_VALUE, Math.min(Integer.MAX_VALUE, Math.rint(value / scale))));
            }
            graph.setInitializer(at, bias.toBuilder().setRawData(ByteString.copyFrom(stored)));
            int scaleAt = initializers.get(node.getInput(1));
            TensorProto.Builder scaleTensor =
                    graph.getInitializer(scaleAt).toBuilder().clearRawData().clearFloatData();
            for (int c = 0; c < scales.length; c++) {
                scaleTensor.addFloatData(scale);
            }
            graph.setInitializer(scaleAt, scaleTensor);
            made++;
        }
        if (made == 0) {
            throw new IllegalStateException("no layer of '" + model.name() + "' has an int32 bias");
        }
        return OnnxModel.of(model.name() + " with int32 biases at their limits", changed.build());
    }

    private static float[] floats(TensorProto tensor) {
        if (tensor.getFloatDataCount() > 0) {
            float[] out = new float[tensor.getFloatDataCount()];
            for (int i = 0; i < out.length; i++) {
                out[i] = tensor.getFloatData(i);
            }
            return out;
        }
        ByteBuffer raw = ByteBuffer.wrap(tensor.getRawData().toByteArray()).order(ByteOrder.LITTLE_ENDIAN);
        float[] out = new float[raw.capacity() / Float.BYTES];
        for (int i = 0; i < out.length; i++) {
            out[i] = raw.getFloat(Float.BYTES * i);
        }
        return out;
    }
}
