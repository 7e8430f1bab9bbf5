package dev.rebias.keras;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rebias.error.UnsupportedException;
import dev.rebias.keras.KerasBuilder.Inbound;
import dev.rebias.keras.KerasBuilder.Weight;
import dev.rebias.model.GraphReader;
import dev.rebias.model.OnnxModel;
import dev.rebias.runtime.WholeModel;
import dev.rebias.tensor.HostTensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** cnn2snn's quantisers of weights and activations, bit for bit by their formulas in float32. */
final class QuantizersTest {
    private static final int FILTERS = 5;

    @TempDir
    Path folder;

    /**
     * Weights [3, 2, 4, filters]: values on and around every rounding boundary of the last filter, and a filter of
     * zeros.
     */
    private static KerasWeight kernel(int bitwidth) {
        Random random = new Random(bitwidth);
        float[] w = new float[3 * 2 * 4 * FILTERS];
        float kmax = (1 << (bitwidth - 1)) - 1;
        for (int i = 0; i < w.length; i++) {
            w[i] = switch (i % FILTERS) {
                case 1 -> 0;
                case 4 -> boundary(i / FILTERS, kmax);
                default -> (float) random.nextGaussian();
            };
        }
        return new KerasWeight("group/kernel:0", new long[] {3, 2, 4, FILTERS}, w);
    }

    /** 1, and then k + 1/2 steps of the quantiser whose reach is 1, and their neighbours. */
    private static float boundary(int i, float kmax) {
        int step = i / 3;
        float half = (step % (kmax + 1) - 0.5f) / kmax;
        return i == 0 ? 1 : i % 3 == 0 ? Math.nextUp(half) : i % 3 == 1 ? -half : Math.nextDown(half);
    }

    private static KerasLayer layer(String quantizer) {
        try {
            String json = "{'use_bias': false, 'quantizer': " + quantizer + "}";
            return new KerasLayer(
                    "a test's file",
                    "conv",
                    "QuantizedConv2D",
                    new ObjectMapper().readTree(json.replace('\'', '"')),
                    List.of(),
                    List.of());
        } catch (IOException e) {
            throw new IllegalArgumentException(quantizer, e);
        }
    }

    private static WeightQuantizer quantizer(String className, String config, KerasWeight... trained) {
        KerasLayer layer = layer("{'class_name': '" + className + "', 'config': " + config + "}");
        return WeightQuantizer.of(layer, "quantizer", Stream.of(trained).findFirst());
    }

    private static void assertQuantised(KerasWeight w, WeightQuantizer quantizer, int bitwidth, float[] reach) {
        WeightQuantizer.Quantized q = quantizer.quantize(layer("null"), w);
        float kmax = (1 << (bitwidth - 1)) - 1;
        for (int i = 0; i < w.values().length; i++) {
            float sf = kmax / reach[i % reach.length];
            float expected = 0;
            if (reach[i % reach.length] > 0) {
                float steps = (float) Math.rint((double) (w.values()[i] * sf));
                expected = Math.min(Math.max(steps, -kmax), kmax) / sf;
            }
            assertThat(q.values()[i]).as("weight %d, %s", i, w.values()[i]).isEqualTo(expected);
            assertThat(Math.abs(q.steps()[i])).isLessThanOrEqualTo((int) kmax);
            assertThat(q.steps()[i] / sf).isEqualTo(reach[i % reach.length] > 0 ? expected : 0);
        }
    }

    private static float[] perFilter(KerasWeight w) {
        float[] reach = new float[FILTERS];
        for (int i = 0; i < w.values().length; i++) {
            reach[i % FILTERS] = Math.max(reach[i % FILTERS], Math.abs(w.values()[i]));
        }
        return reach;
    }

    private static float std(KerasWeight w) {
        double sum = 0;
        double squares = 0;
        for (float v : w.values()) {
            sum += v;
            squares += (double) v * v;
        }
        int n = w.values().length;
        return (float) Math.sqrt(squares / n - sum / n * (sum / n));
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 3, 4, 5, 8})
    void weightsAreQuantisedByTheFormulaBitForBit(int bitwidth) {
        KerasWeight w = kernel(bitwidth);
        String bits = "{'bitwidth': " + bitwidth + "}";
        float[] perFilter = perFilter(w);
        float all = 0;
        for (float r : perFilter) {
            all = Math.max(all, r);
        }
        assertQuantised(w, quantizer("MaxPerAxisQuantizer", bits), bitwidth, perFilter);
        assertQuantised(w, quantizer("MaxQuantizer", bits), bitwidth, new float[] {all});
        assertQuantised(
                w,
                quantizer("StdWeightQuantizer", "{'bitwidth': " + bitwidth + ", 'threshold': 2.5}"),
                bitwidth,
                new float[] {2.5f * std(w)});
        assertThatThrownBy(() -> quantizer("TrainableStdWeightQuantizer", bits))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContaining("trained threshold");
        KerasWeight threshold = new KerasWeight("group/threshold:0", new long[0], new float[] {1.25f});
        assertQuantised(
                w, quantizer("TrainableStdWeightQuantizer", bits, threshold), bitwidth, new float[] {1.25f * std(w)});
    }

    @Test
    void scaleFactorsAreTakenAsTheyAre() {
        KerasWeight w = kernel(4);
        float[] one = quantizer("ScaleFactorQuantizer", "{'bitwidth': 4, 'scale_factors': 2.5}")
                .quantize(layer("null"), w)
                .values();
        float[] each = quantizer("ScaleFactorQuantizer", "{'bitwidth': 4, 'scale_factors': [1, 2, 3, 4, 5]}")
                .quantize(layer("null"), w)
                .values();
        for (int i = 0; i < one.length; i++) {
            float x = w.values()[i];
            float factor = i % FILTERS + 1;
            assertThat(one[i]).isEqualTo(Math.min(Math.max((float) Math.rint(x * 2.5f), -7), 7) / 2.5f);
            assertThat(each[i]).isEqualTo(Math.min(Math.max((float) Math.rint(x * factor), -7), 7) / factor);
        }
        assertThatThrownBy(() -> quantizer("ScaleFactorQuantizer", "{'bitwidth': 4, 'scale_factors': [1, 2]}")
                        .quantize(layer("null"), w))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContaining("'conv'")
                .hasMessageContaining("2 scale factors for 5 filters");
    }

    @Test
    void theModelMultipliesByJustTheseValuesAndKnowsTheirIntegers() throws IOException {
        Random random = new Random(3);
        float[] kernel = new float[7 * 4];
        for (int i = 0; i < kernel.length; i++) {
            kernel[i] = i % 4 == 2 ? 0 : (float) random.nextGaussian();
        }
        Weight weight = new Weight(new long[] {7, 4}, kernel);
        OnnxModel model = new KerasBuilder(Inbound.SEQUENTIAL, 7)
                .add(
                        "dense",
                        "QuantizedDense",
                        "{'units': 4, 'use_bias': false, 'quantizer': {'class_name': 'MaxPerAxisQuantizer', "
                                + "'config': {'bitwidth': 3}}}",
                        weight)
                .write(folder)
                .quantized();
        var graph = GraphReader.read(model);
        float[] expected = quantizer("MaxPerAxisQuantizer", "{'bitwidth': 3}")
                .quantize(layer("null"), new KerasWeight("dense/kernel", weight.shape(), kernel))
                .values();
        float[] multiplied = graph.constants().get("dense/kernel").toFloats();
        assertThat(multiplied).hasSameSizeAs(expected);
        for (int i = 0; i < expected.length; i++) {
            // Integers have but one zero.
            assertThat(multiplied[i]).isEqualTo(expected[i] + 0f);
        }
        for (double step : graph.dequantized().get("dense/kernel").steps()) {
            assertThat(step).isEqualTo(Math.rint(step)).isBetween(-3.0, 3.0);
        }
        double[] exact = graph.doubles("dense/kernel");
        for (int i = 0; i < exact.length; i++) {
            assertThat(exact[i]).isEqualTo(expected[i] + 0f);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "QuantizedReLU, 1, 'max_value': 1.5",
        "QuantizedReLU, 4, 'max_value': 2.25",
        "QuantizedReLU, 2, 'max_value': null",
        "QuantizedReLU, 8, 'max_value': 6.0",
        "QuantizedReLU, 10, 'max_value': 6.0",
        "QuantizedActivation, 3, 'step': 0.3",
        "QuantizedActivation, 3, 'max_value': 3.5",
        "ActivationDiscreteRelu, 2, 'trainable': true",
        "ActivationDiscreteRelu, 4, 'trainable': true"
    })
    void halfAStepGoesDown(String className, int bitwidth, String config) throws IOException {
        float levels = (1 << bitwidth) - 1;
        float step =
                switch (className) {
                    case "ActivationDiscreteRelu" -> Math.min(levels, 6) / levels;
                    case "QuantizedReLU" ->
                        (config.contains("null") ? levels : Float.parseFloat(config.substring(13))) / levels;
                    default -> config.contains("step") ? 0.3f : 0.5f;
                };
        int n = 4 * (int) levels + 40;
        float[] x = new float[3 * n];
        for (int k = 0; k < n; k++) {
            float tie = (k / 2f - 5) * step;
            x[3 * k] = Math.nextDown(tie);
            x[3 * k + 1] = tie;
            x[3 * k + 2] = Math.nextUp(tie);
        }
        KerasModel model = new KerasBuilder(Inbound.SEQUENTIAL, 1)
                .add("act", className, "{'bitwidth': " + bitwidth + ", " + config + "}")
                .write(folder);
        HostTensor y;
        try (WholeModel whole =
                new WholeModel(className, model.computed().proto().toByteArray())) {
            y = whole.run(Map.of("in", HostTensor.of(x, x.length, 1))).get("act");
        }
        for (int i = 0; i < x.length; i++) {
            float steps = (float) Math.ceil((x[i] - 0.5f * step) / step);
            assertThat(y.floats().get(i))
                    .as("%s of %s", className, x[i])
                    .isEqualTo(step * Math.min(Math.max(steps, 0), levels));
        }
    }
}
