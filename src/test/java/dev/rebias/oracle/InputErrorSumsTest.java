package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.device.Device;
import dev.rebias.device.Devices;
import dev.rebias.device.ErrorSums;
import dev.rebias.device.ErrorTotals;
import dev.rebias.device.Method;
import dev.rebias.device.Tensor;
import dev.rebias.device.TestDevices;
import dev.rebias.device.WeightError;
import dev.rebias.op.Convolution;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Sums of errors that a device computes from a layer's bytes are those of the errors, computed in double precision. */
@Tag("cuda")
final class InputErrorSumsTest {
    private static final int LAYERS = 24;
    /**
     * Of the root mean square of what is summed up, or its square: weights have 16 bits of their channel's largest, and
     * a window over padding may meet small ones alone; 24 where outputs are compared.
     */
    private static final double TOLERANCE = 2e-4;

    private static final double JOINT_TOLERANCE = 1e-6;

    /** Only cards compute errors from the input. */
    private static Stream<String> devices() {
        return TestDevices.names().stream().filter(name -> name.equals("cuda"));
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void theyAreThoseOfEveryError(String name) {
        Random random = new Random(21);
        double worst = 0;
        double jointWorst = 0;
        try (Device device = Devices.open(name).device()) {
            for (int i = 0; i < LAYERS; i++) {
                RandomLayer layer = i < large().size() ? large().get(i) : convolution(random);
                boolean joint = i % 2 == 1;
                double off = off(device, layer, joint, random);
                worst = joint ? worst : Math.max(worst, off);
                jointWorst = joint ? Math.max(jointWorst, off) : jointWorst;
            }
        }
        System.out.printf(
                "%d layers, the worst at %.1f %% of the bound, and at %.1f %% where outputs are compared%n",
                LAYERS, 100 * worst / TOLERANCE, 100 * jointWorst / JOINT_TOLERANCE);
        assertThat(worst).isLessThan(TOLERANCE);
        assertThat(jointWorst).isLessThan(JOINT_TOLERANCE);
    }

    /** Of sound, say: with tensor cores and without, in a row and in a column. */
    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void samplesMayHaveAnyNumberOfRowsAndColumns(String name) {
        long[] one = {1};
        long[] ones = {1, 1};
        List<RandomLayer> layers = List.of(
                RandomLayer.convolution(
                        1, one, new long[] {2}, new long[] {2, 2}, new long[] {17, 2, 3}, new long[] {3, 2, 17_000}),
                RandomLayer.convolution(
                        2, one, one, new long[] {0, 0}, new long[] {4, 1, 3}, new long[] {3, 2, 40_000}),
                RandomLayer.convolution(
                        2, ones, ones, new long[] {1, 0, 1, 0}, new long[] {4, 1, 3, 1}, new long[] {3, 2, 70_000, 1}),
                RandomLayer.convolution(
                        1, ones, ones, new long[4], new long[] {16, 1, 1, 2}, new long[] {3, 1, 17_000, 2}));
        Random random = new Random(22);
        try (Device device = Devices.open(name).device()) {
            for (RandomLayer layer : layers) {
                assertThat(off(device, layer, false, random)).as("%s", layer).isLessThan(TOLERANCE);
                assertThat(off(device, layer, true, random)).as("%s", layer).isLessThan(JOINT_TOLERANCE);
            }
        }
    }

    private static RandomLayer convolution(Random random) {
        RandomLayer layer = RandomLayer.next(random, 30);
        return layer.op() instanceof Convolution && layer.data().length < 5 ? layer : convolution(random);
    }

    /** More filters, positions and products than a block takes at once; groups; few filters to each. */
    private static List<RandomLayer> large() {
        long[] ones = {1, 1};
        long[] pads = {1, 1, 1, 1};
        long[] none = {0, 0, 0, 0};
        return List.of(
                RandomLayer.convolution(1, ones, ones, none, new long[] {70, 40, 1, 1}, new long[] {3, 40, 9, 9}),
                RandomLayer.convolution(1, ones, ones, none, new long[] {65, 33, 1, 1}, new long[] {3, 33, 12, 8}),
                RandomLayer.convolution(
                        1, new long[] {2, 2}, ones, pads, new long[] {20, 7, 3, 3}, new long[] {3, 7, 17, 15}),
                RandomLayer.convolution(2, ones, ones, pads, new long[] {40, 9, 3, 3}, new long[] {3, 18, 10, 8}),
                RandomLayer.convolution(5, ones, ones, pads, new long[] {5, 1, 3, 3}, new long[] {3, 5, 37, 30}),
                RandomLayer.convolution(
                        5, new long[] {2, 1}, ones, pads, new long[] {10, 1, 3, 3}, new long[] {3, 5, 40, 35}));
    }

    private static double off(Device device, RandomLayer layer, boolean joint, Random random) {
        ElementType type = random.nextBoolean() ? ElementType.UINT8 : ElementType.INT8;
        int low = type == ElementType.UINT8 ? 0 : -128;
        long zero = (long) low + random.nextInt(256);
        HostTensor x = HostTensor.zeros(type, layer.data());
        double[] values = new double[Math.toIntExact(x.elements())];
        for (int i = 0; i < values.length; i++) {
            int q = low + random.nextInt(256);
            x.bytes().put(i, (byte) q);
            values[i] = q - zero;
        }
        int elements = Math.toIntExact(
                HostTensor.zeros(ElementType.FLOAT, layer.weights()).elements());
        double[] difference = random.doubles(elements, -0.01, 0.012).toArray();
        double[] reference = random.doubles(elements, -1, 1).toArray();
        double[] quantized = new double[elements];
        Arrays.setAll(quantized, i -> reference[i] - difference[i]);
        WeightError error =
                new WeightError(layer.op(), layer.weights(), difference, reference, Optional.of(type), 1, zero);
        assertThat(device.prefers(Method.ERRORS_OF_INPUT, error))
                .as("%s of %s by %s", layer.op(), Arrays.toString(layer.data()), Arrays.toString(layer.weights()))
                .isTrue();
        NaiveTensor data = new NaiveTensor(values, ints(layer.data()));
        double[] e = naive(layer, data, joint ? quantized : difference);
        double[] f = joint ? new double[e.length] : naive(layer, data, reference);
        HostTensor outputs = HostTensor.zeros(ElementType.FLOAT, layer.op().outputShape(layer.data(), layer.weights()));
        if (joint) {
            for (int i = 0; i < f.length; i++) {
                outputs.floats().put(i, (float) (e[i] + 100 * random.nextGaussian()));
                f[i] = outputs.floats().get(i);
                e[i] = f[i] - e[i];
            }
        }
        int channels = layer.op().channels(layer.weights());
        try (ErrorSums sums = device.inputErrorSums(error, joint, true).orElseThrow();
                Tensor uploaded = device.upload(x);
                Tensor compared = device.upload(outputs)) {
            List<Tensor> tensors = new ArrayList<>(joint ? List.of(compared) : List.of());
            tensors.add(uploaded);
            sums.add(tensors, 3);
            sums.add(tensors, 3);
            ErrorTotals totals = sums.totals();
            assertThat(totals.samples()).isEqualTo(6);
            return worst(totals, channels, e, f);
        }
    }

    private static double worst(ErrorTotals totals, int channels, double[] e, double[] f) {
        int positions = e.length / 3 / channels;
        double worst = 0;
        for (int c = 0; c < channels; c++) {
            double[] sums = new double[5];
            for (int n = 0; n < 3; n++) {
                double mean = 0;
                for (int p = 0; p < positions; p++) {
                    int i = (n * channels + c) * positions + p;
                    sums[0] += e[i] / (3 * positions);
                    sums[1] += e[i] * e[i] / (3 * positions);
                    sums[2] += f[i] / (3 * positions);
                    sums[3] += f[i] * f[i] / (3 * positions);
                    mean += e[i] / positions;
                }
                sums[4] += mean * mean / 3;
            }
            double ofError = Math.sqrt(sums[1]) + 1e-300;
            double ofOutput = Math.sqrt(sums[3]) + 1e-300;
            worst = Math.max(worst, Math.abs(totals.mean(0, c) - sums[0]) / ofError);
            worst = Math.max(worst, Math.abs(totals.mean(1, c) - sums[1]) / ofError / ofError);
            worst = Math.max(worst, Math.abs(totals.mean(2, c) - sums[2]) / ofOutput);
            worst = Math.max(worst, Math.abs(totals.mean(3, c) - sums[3]) / ofOutput / ofOutput);
            worst = Math.max(worst, Math.abs(totals.squaredSampleMeans(c) - sums[4]) / ofError / ofError);
        }
        return worst;
    }

    private static double[] naive(RandomLayer layer, NaiveTensor data, double[] weights) {
        return NaiveLayers.run(
                        layer.op().toNode("x", "w", "", "y"),
                        data,
                        new NaiveTensor(weights, ints(layer.weights())),
                        null)
                .values();
    }

    private static int[] ints(long[] shape) {
        return Arrays.stream(shape).mapToInt(Math::toIntExact).toArray();
    }
}
