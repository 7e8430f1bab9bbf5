package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import com.google.protobuf.ByteString;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.LayerResult;
import dev.rebias.device.TestDevices;
import dev.rebias.runtime.WholeModel;
import dev.rebias.sweep.Reference;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A bias that is added behind the layer's output quantiser, in floats or in 8 bits, gets the correction that it would
 * get before it, and nothing else changes.
 */
@Tag("cuda")
final class BiasBehindQuantiserTest {
    private static final int INPUTS = 6;
    private static final int CHANNELS = 8;
    private static final int SAMPLES = 11;
    private static final float SCALE = 0.05f;
    private static final float BIAS_SCALE = 0.01f;

    private static Stream<Arguments> cases() {
        return TestDevices.names().stream().flatMap(device -> Stream.of(1L, 2L, 3L)
                .flatMap(seed -> Stream.of(true, false).flatMap(unsigned -> Stream.of(true, false)
                        .map(first -> Arguments.of(device, seed, unsigned, first)))));
    }

    private final double[] weights = new double[INPUTS * CHANNELS];
    private final int[] steps = new int[weights.length];
    private final double[] bias = new double[CHANNELS];
    private final int[] biasSteps = new int[CHANNELS];

    private void draw(long seed) {
        Random random = new Random(seed);
        for (int i = 0; i < weights.length; i++) {
            weights[i] = (float) (0.4 * random.nextGaussian());
            steps[i] = (int) Math.rint(weights[i] / SCALE);
        }
        for (int c = 0; c < CHANNELS; c++) {
            bias[c] = (float) (0.3 * random.nextGaussian());
            biasSteps[c] = (int) Math.rint(bias[c] / BIAS_SCALE);
        }
    }

    private static float[] floats(double[] values) {
        float[] out = new float[values.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = (float) values[i];
        }
        return out;
    }

    private static String bytes(GraphBuilder g, String name, boolean unsigned, int[] values, long... dims) {
        byte[] raw = new byte[values.length];
        for (int i = 0; i < raw.length; i++) {
            raw[i] = (byte) (values[i] + (unsigned ? 128 : 0));
        }
        TensorProto.Builder t = TensorProto.newBuilder()
                .setDataType((unsigned ? TensorProto.DataType.UINT8 : TensorProto.DataType.INT8).getNumber())
                .setRawData(ByteString.copyFrom(raw));
        Arrays.stream(dims).forEach(t::addDims);
        return g.constant(name, t.build());
    }

    private ModelProto floating() {
        GraphBuilder g = new GraphBuilder(1);
        String x = g.input("x", INPUTS);
        return g.build(g.node(
                "Gemm",
                "y",
                List.of(
                        x,
                        g.floats("w", new int[] {INPUTS, CHANNELS}, floats(weights)),
                        g.floats("b", new int[] {CHANNELS}, floats(bias)))));
    }

    /** The data and the weights, quantised. */
    private String product(GraphBuilder g, String type, boolean unsigned) {
        String x = g.input("x", INPUTS);
        g.floats("s", new int[0], SCALE);
        bytes(g, "z", unsigned, new int[] {0});
        bytes(g, "wz", false, new int[] {0});
        bytes(g, "w", false, steps, INPUTS, CHANNELS);
        String xq = g.node("QuantizeLinear", "xq", List.of(x, "s", "z"));
        if (type.equals("QLinearMatMul")) {
            return g.node(type, "yq", List.of(xq, "s", "z", "w", "s", "wz", "s", "z"));
        }
        String data = g.node("DequantizeLinear", "xd", List.of(xq, "s", "z"));
        return g.node(type, "product", List.of(data, g.node("DequantizeLinear", "wd", List.of("w", "s", "wz"))));
    }

    private ModelProto plain(boolean unsigned) {
        GraphBuilder g = new GraphBuilder(1);
        String y = product(g, "MatMul", unsigned);
        double[] stored = new double[CHANNELS];
        Arrays.setAll(stored, c -> biasSteps[c] * (double) BIAS_SCALE);
        return g.build(g.node("Add", "y", List.of(y, g.floats("b", new int[] {CHANNELS}, floats(stored)))));
    }

    private ModelProto dequantized(boolean unsigned, boolean constantFirst) {
        GraphBuilder g = new GraphBuilder(1);
        String q = g.node("QuantizeLinear", "yq", List.of(product(g, "MatMul", unsigned), "s", "z"));
        String y = g.node("DequantizeLinear", "yd", List.of(q, "s", "z"));
        double[] stored = new double[CHANNELS];
        Arrays.setAll(stored, c -> biasSteps[c] * (double) BIAS_SCALE);
        String b = g.floats("b", new int[] {1, CHANNELS}, floats(stored));
        return g.build(g.node("Add", "y", constantFirst ? List.of(b, y) : List.of(y, b)));
    }

    private ModelProto operators(boolean unsigned, boolean constantFirst) {
        GraphBuilder g = new GraphBuilder(1);
        String product = product(g, "QLinearMatMul", unsigned);
        g.floats("bs", new int[0], BIAS_SCALE);
        List<String> a = List.of(product, "s", "z");
        List<String> b =
                List.of(bytes(g, "b", unsigned, biasSteps, CHANNELS), "bs", bytes(g, "bz", unsigned, new int[] {0}));
        String sum = g.node(
                "QLinearAdd",
                "sum",
                Stream.of(constantFirst ? b : a, constantFirst ? a : b, List.of("s", "z"))
                        .flatMap(List::stream)
                        .toList());
        ModelProto.Builder model = g.build(g.node("DequantizeLinear", "y", List.of(sum, "s", "z"))).toBuilder();
        for (NodeProto.Builder node : model.getGraphBuilder().getNodeBuilderList()) {
            if (node.getOpType().equals("QLinearAdd")) {
                node.setDomain("com.microsoft");
            }
        }
        return model.addOpsetImport(OperatorSetIdProto.newBuilder()
                        .setDomain("com.microsoft")
                        .setVersion(1))
                .build();
    }

    private static CorrectionResult correct(
            String device, ModelProto floating, ModelProto quantized, Map<String, NaiveTensor> samples, Reference r) {
        return ToyCorrectionTest.correct(
                floating,
                quantized,
                samples,
                CorrectionOptions.builder()
                        .device(device)
                        .reference(r)
                        .batchSize(4)
                        .build());
    }

    private static float[] delta(CorrectionResult result) {
        assertThat(result.layers()).hasSize(1);
        LayerResult layer = result.layers().get(0);
        assertThat(layer.status()).isEqualTo(LayerResult.Status.CORRECTED);
        return layer.moments().orElseThrow().delta();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void theConstantTakesTheCorrection(String device, long seed, boolean unsigned, boolean constantFirst) {
        draw(seed);
        Map<String, NaiveTensor> samples = Toy.samples(floating(), SAMPLES, seed);
        for (Reference reference : Reference.values()) {
            float[] expected = delta(correct(device, floating(), plain(unsigned), samples, reference));
            CorrectionResult floats =
                    correct(device, floating(), dequantized(unsigned, constantFirst), samples, reference);
            CorrectionResult integers =
                    correct(device, floating(), operators(unsigned, constantFirst), samples, reference);
            for (int c = 0; c < CHANNELS; c++) {
                assertThat(delta(floats)[c]).isCloseTo(expected[c], within(1e-6f));
                assertThat(delta(integers)[c])
                        .isCloseTo((float) Math.rint(expected[c] / BIAS_SCALE) * BIAS_SCALE, within(1e-6f));
            }
            assertThat(expected).isNotEqualTo(new float[CHANNELS]);
            onlyTheConstantMoves(dequantized(unsigned, constantFirst), floats);
            onlyTheConstantMoves(operators(unsigned, constantFirst), integers);
        }
    }

    private static void onlyTheConstantMoves(ModelProto before, CorrectionResult result) {
        ModelProto after = result.model().proto();
        new WholeModel("written", after.toByteArray()).close();
        assertThat(after.getGraph().getNodeCount()).isEqualTo(before.getGraph().getNodeCount());
        Map<String, NaiveTensor> is = new NaiveNetwork(layersOnly(after)).constants();
        Map<String, NaiveTensor> was = new NaiveNetwork(layersOnly(before)).constants();
        assertThat(is.keySet()).isEqualTo(was.keySet());
        was.forEach((name, old) -> {
            double unit = old.isInteger() ? BIAS_SCALE : 1;
            for (int i = 0; i < old.values().length; i++) {
                double moved = unit * (is.get(name).values()[i] - old.values()[i]);
                double expected = name.equals("b") ? delta(result)[i] : 0;
                assertThat(moved).as(name).isCloseTo(expected, within(1e-6));
            }
        });
    }

    /** The stored constants alone. */
    private static ModelProto layersOnly(ModelProto model) {
        ModelProto.Builder out = model.toBuilder();
        out.getGraphBuilder()
                .clearNode()
                .addAllNode(model.getGraph().getNodeList().stream()
                        .filter(n -> n.getOpType().equals("Constant"))
                        .toList());
        return out.build();
    }
}
