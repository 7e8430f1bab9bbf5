package dev.rebias.keras;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.device.TestDevices;
import dev.rebias.keras.KerasBuilder.Inbound;
import dev.rebias.keras.KerasBuilder.Weight;
import dev.rebias.keras.KerasOracle.Sample;
import dev.rebias.keras.KerasOracle.Window;
import dev.rebias.measure.Moments;
import dev.rebias.samples.Samples;
import dev.rebias.tensor.HostTensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Separable layers of random shapes are corrected as one: the error behind the second convolution, both float in the
 * reference, against a naive implementation in double precision; with errors measured and in closed form; on integers
 * and on floats.
 */
@Tag("cuda")
final class SeparableLayerTest {
    private static final int CASES = 12;
    private static final int SAMPLES = 5;
    private static final double TOLERANCE = 1e-5;

    @TempDir
    Path folder;

    static Stream<Arguments> devicesAndSeeds() {
        return TestDevices.names().stream()
                .flatMap(device -> IntStream.range(0, CASES).mapToObj(seed -> Arguments.of(device, seed)));
    }

    private static Weight weight(Random random, long... shape) {
        int n = 1;
        for (long d : shape) {
            n *= (int) d;
        }
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return new Weight(shape, values);
    }

    /** clip(round(w sf)) / sf with sf = kmax / max |w|, of the whole tensor or per index of the last axis. */
    private static Weight quantized(Weight w, int bitwidth, boolean perAxis) {
        float kmax = (1 << (bitwidth - 1)) - 1;
        int axis = perAxis ? (int) w.shape()[w.shape().length - 1] : 1;
        float[] most = new float[axis];
        for (int i = 0; i < w.values().length; i++) {
            most[i % axis] = Math.max(most[i % axis], Math.abs(w.values()[i]));
        }
        float[] values = new float[w.values().length];
        for (int i = 0; i < values.length; i++) {
            float sf = kmax / most[i % axis];
            values[i] = (float) Math.rint(w.values()[i] * sf) / sf;
        }
        return new Weight(w.shape(), values);
    }

    @ParameterizedTest
    @MethodSource("devicesAndSeeds")
    void itsCorrectionIsThatOfBothHalves(String device, int seed) throws IOException {
        Random random = new Random(seed);
        int channels = 1 + random.nextInt(6);
        int filters = 1 + random.nextInt(7);
        int[] input = {4 + random.nextInt(6), 4 + random.nextInt(6), channels};
        boolean same = random.nextBoolean();
        int stride = 1 + random.nextInt(2);
        int dilation = stride == 1 ? 1 + random.nextInt(2) : 1;
        Window window =
                new Window(1 + random.nextInt(3), 1 + random.nextInt(3), stride, stride, dilation, dilation, same);
        boolean onIntegers = seed % 3 != 0;
        int bits = 2 + random.nextInt(4);
        Weight depthwise = weight(random, window.height(), window.width(), channels, 1);
        Weight pointwise = weight(random, 1, 1, channels, filters);
        Weight bias = weight(random, filters);
        KerasBuilder builder = new KerasBuilder(Inbound.SEQUENTIAL, input[0], input[1], input[2]);
        if (onIntegers) {
            builder.add("relu", "QuantizedReLU", "{'bitwidth': 4, 'max_value': 2.0}");
        }
        String quantizers = "'quantizer_dw': {'class_name': 'MaxQuantizer', 'config': {'bitwidth': " + bits
                + "}}, 'quantizer': {'class_name': 'MaxPerAxisQuantizer', 'config': {'bitwidth': " + bits + "}}";
        KerasModel model = builder.add(
                        "sep",
                        "QuantizedSeparableConv2D",
                        "{'filters': " + filters + ", 'kernel_size': [" + window.height() + ", " + window.width()
                                + "], 'strides': " + stride + ", 'dilation_rate': " + dilation + ", 'padding': '"
                                + (window.same() ? "same" : "valid") + "', " + quantizers + "}",
                        depthwise,
                        pointwise,
                        bias)
                .write(folder);
        float[] data = new float[SAMPLES * input[0] * input[1] * channels];
        for (int i = 0; i < data.length; i++) {
            data[i] = (float) random.nextGaussian();
        }
        HostTensor x = HostTensor.of(data, SAMPLES, input[0], input[1], channels);
        Moments measured = corrected(device, model, x, true);
        Moments closed = corrected(device, model, x, false);
        double[] expected = new double[filters];
        double[] mse = new double[2];
        expect(input, data, onIntegers, window, List.of(depthwise, pointwise), bits, expected, mse);
        double largest = 0;
        for (double d : expected) {
            largest = Math.max(largest, Math.abs(d));
        }
        for (int c = 0; c < filters; c++) {
            assertThat(Math.abs(measured.delta()[c] - expected[c]))
                    .as("measured, channel %d", c)
                    .isLessThan(TOLERANCE * largest + 1e-6);
            assertThat(Math.abs(closed.delta()[c] - expected[c]))
                    .as("closed form, channel %d", c)
                    .isLessThan(TOLERANCE * largest + 1e-6);
        }
        assertThat(measured.measured().mseBefore()).isCloseTo(mse[0], within(1e-4 * mse[0] + 1e-12));
        assertThat(measured.measured().mseAfter()).isCloseTo(mse[1], within(1e-4 * mse[1] + 1e-12));
    }

    private static Moments corrected(String device, KerasModel model, HostTensor x, boolean errors) {
        CorrectionOptions options = CorrectionOptions.builder()
                .device(device)
                .batchSize(2)
                .errors(errors)
                .build();
        CorrectionResult result =
                BiasCorrection.of(model.floating(), model.quantized()).correct(Samples.of(Map.of("in", x)), options);
        assertThat(result.layers()).hasSize(1);
        // No operation ran elsewhere than on the device.
        assertThat(result.warnings())
                .allMatch(w -> w.contains("emulator")
                        || w.contains("the same weights")
                        || w.startsWith("corrections come from 5 samples"));
        return result.layers().get(0).moments().orElseThrow();
    }

    /** The mean error per channel, and the mean squared error before and after. */
    private static void expect(
            int[] input,
            float[] data,
            boolean quantizes,
            Window window,
            List<Weight> weights,
            int bits,
            double[] delta,
            double[] mse) {
        int size = input[0] * input[1] * input[2];
        Window one = new Window(1, 1, 1, 1, 1, 1, false);
        Weight depthwise = quantized(weights.get(0), bits, false);
        Weight pointwise = quantized(weights.get(1), bits, true);
        double squares = 0;
        long n = 0;
        for (int s = 0; s < SAMPLES; s++) {
            int from = s * size;
            Sample x = Sample.of(input, i -> data[from + (int) i]);
            if (quantizes) {
                float step = 2f / 15;
                x = x.map(v -> step * Math.min(Math.max(Math.ceil(((float) v - 0.5f * step) / step), 0), 15));
            }
            Sample f =
                    KerasOracle.convolution(KerasOracle.depthwise(x, window, weights.get(0)), one, weights.get(1), 1);
            Sample y = KerasOracle.convolution(KerasOracle.depthwise(x, window, depthwise), one, pointwise, 1);
            for (int i = 0; i < f.values().length; i++) {
                double e = f.values()[i] - y.values()[i];
                delta[i % delta.length] += e;
                squares += e * e;
                n++;
            }
        }
        double means = 0;
        for (int c = 0; c < delta.length; c++) {
            delta[c] /= (double) n / delta.length;
            means += delta[c] * delta[c];
        }
        mse[0] = squares / n;
        mse[1] = squares / n - means / delta.length;
    }
}
