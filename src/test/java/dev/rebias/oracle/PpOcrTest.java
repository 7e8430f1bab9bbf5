package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnx.proto.OnnxMl.ModelProto;
import dev.rebias.CorrectionResult;
import dev.rebias.LayerResult;
import dev.rebias.sweep.Reference;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Networks that nobody prepared for this program: PP-OCR's text detection, recognition and line orientation (PaddleOCR,
 * Apache-2.0; opset 11 and 12, weights in Constant nodes, transposed convolutions, Resize, attention, dynamic height
 * and width).
 */
final class PpOcrTest {
    private static final int SAMPLES = 2;

    /** Without quantised activations nothing can flip, and what is left is float32 against double. */
    private static final double WEIGHTS_ONLY = 1e-4;

    /**
     * With them, activations within rounding of a boundary flip, and with two samples one flip in a map of a few
     * positions moves a channel's mean by per cents of the layer's error. How far the definition itself moves when
     * every value is off as much as float32 sums are says how much.
     */
    private static final double WITH_ACTIVATIONS = 0.01;

    private static final double SPREADS = 5;
    /** The RMS error of a float32 sum, as a share of the RMS value; measured 1.3e-7 for ONNX Runtime's convolutions. */
    private static final double FLOAT32_NOISE = 2e-7;

    private static final int DISTURBED_RUNS = 3;

    @ParameterizedTest
    @CsvSource({
        "ch_PP-OCRv3_det_infer, 64, 64",
        "ch_PP-OCRv4_det_infer, 64, 64",
        "ch_PP-OCRv3_rec_infer, 48, 48",
        "ch_PP-OCRv4_rec_infer, 48, 48",
        "ch_ppocr_mobile_v2.0_cls_infer, 48, 64"
    })
    void correctionsAgreeWithTheDefinition(String name, int height, int width) throws IOException {
        ModelProto floating = load(name);
        Map<String, NaiveTensor> samples = noise(height, width);
        ModelProto weights = QdqWriter.weights(floating, 6, samples);
        ModelProto all = QdqWriter.weightsAndActivations(floating, 6, samples);
        for (Reference reference : Reference.values()) {
            compare(name + ", weights", floating, weights, samples, reference, WEIGHTS_ONLY, 0);
            compare(
                    name + ", weights and activations",
                    floating,
                    all,
                    samples,
                    reference,
                    WITH_ACTIVATIONS,
                    DISTURBED_RUNS);
        }
    }

    private static void compare(
            String what,
            ModelProto floating,
            ModelProto quantized,
            Map<String, NaiveTensor> samples,
            Reference reference,
            double tolerance,
            int disturbedRuns) {
        boolean network = reference == Reference.NETWORK;
        // The first without disturbance; each takes a processor for seconds.
        List<Map<String, NaiveCorrection.LayerCorrection>> runs = IntStream.rangeClosed(0, disturbedRuns)
                .parallel()
                .mapToObj(run -> {
                    Random random = new Random(run);
                    return run == 0
                            ? NaiveCorrection.correct(floating, quantized, samples, network)
                            : NaiveCorrection.correct(floating, quantized, samples, network, t -> disturbed(t, random));
                })
                .toList();
        Map<String, NaiveCorrection.LayerCorrection> expected = runs.get(0);
        Map<String, Double> spreads = new HashMap<>();
        runs.subList(1, runs.size())
                .forEach(run -> run.forEach((layer, c) -> spreads.merge(
                        layer, distance(c.delta(), expected.get(layer).delta()), Math::max)));
        CorrectionResult result = ToyCorrectionTest.correct(floating, quantized, samples, reference, 1);
        assertThat(result.correctedLayers()).as(what).isEqualTo(expected.size()).isGreaterThan(30);
        double worst = 0;
        String where = "";
        for (LayerResult layer : result.layers()) {
            if (layer.moments().isEmpty()) {
                assertThat(layer.reason().orElseThrow()).as(layer.name()).contains("weights are not constant");
                continue;
            }
            float[] delta = layer.moments().get().delta();
            NaiveCorrection.LayerCorrection e = expected.get(layer.output());
            double bound = SPREADS * spreads.getOrDefault(layer.output(), 0.0) + tolerance * Math.sqrt(e.mseBefore());
            double used = distance(
                            IntStream.range(0, delta.length)
                                    .mapToDouble(c -> delta[c])
                                    .toArray(),
                            e.delta())
                    / bound;
            if (!(used <= worst)) {
                worst = used;
                where = layer.name();
            }
        }
        System.out.printf(
                "%s, reference %s: %d layers, the worst (%s) at %.1f %% of its bound%n",
                what, reference, expected.size(), where, 100 * worst);
        assertThat(worst).as("%s %s at %s", what, reference, where).isLessThan(1);
    }

    /** RMS over channels. */
    private static double distance(double[] a, double[] b) {
        double squared = 0;
        for (int c = 0; c < a.length; c++) {
            squared += (a[c] - b[c]) * (a[c] - b[c]);
        }
        return Math.sqrt(squared / a.length);
    }

    private static NaiveTensor disturbed(NaiveTensor t, Random random) {
        double rms =
                Math.sqrt(Arrays.stream(t.values()).map(v -> v * v).average().orElse(0));
        return NaiveOps.map(t, v -> v + FLOAT32_NOISE * rms * random.nextGaussian());
    }

    private static ModelProto load(String name) throws IOException {
        try (InputStream in = PpOcrTest.class.getResourceAsStream("/models/" + name + ".onnx")) {
            return ModelProto.parseFrom(in);
        }
    }

    private static Map<String, NaiveTensor> noise(int height, int width) {
        Random random = new Random(5);
        NaiveTensor x = NaiveTensor.zeros(SAMPLES, 3, height, width);
        for (int i = 0; i < x.values().length; i++) {
            x.values()[i] = (float) random.nextGaussian();
        }
        Map<String, NaiveTensor> samples = new LinkedHashMap<>();
        samples.put("x", x);
        return samples;
    }
}
