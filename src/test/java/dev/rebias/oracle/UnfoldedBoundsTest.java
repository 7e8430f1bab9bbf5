package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.rebias.device.Device;
import dev.rebias.device.Devices;
import dev.rebias.device.Tensor;
import dev.rebias.device.TestDevices;
import dev.rebias.device.UnfoldedSums;
import dev.rebias.device.UnfoldedTotals;
import dev.rebias.device.WeightError;
import dev.rebias.op.Convolution;
import dev.rebias.op.TestOps;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Second moments of integers are exact where these are as large as they can be, and rows so many that no float could
 * hold their products' sum.
 */
@Tag("cuda")
final class UnfoldedBoundsTest {
    private static final int SIDE = 29;
    private static final int ENTRIES = 3;
    private static final int CHANNELS = 6;
    private static final int LARGEST = 255;

    private static Stream<Arguments> cases() {
        return TestDevices.names().stream().flatMap(d -> Stream.of(ElementType.UINT8, ElementType.INT8)
                .flatMap(t -> Stream.of(Arguments.of(d, t, 1), Arguments.of(d, t, CHANNELS))));
    }

    private static WeightError layer(ElementType type, int groups) {
        Convolution op = new Convolution(TestOps.pointwise().window(), groups);
        double[] none = new double[CHANNELS * CHANNELS / groups];
        long zero = type == ElementType.UINT8 ? 0 : -128;
        return new WeightError(
                op, new long[] {CHANNELS, CHANNELS / groups, 1, 1}, none, none, Optional.of(type), 1, zero);
    }

    /** What lies from its zero point as far as it can, in steps; and what is stored for that. */
    private static HostTensor[] data(ElementType type) {
        Random random = new Random(5);
        HostTensor steps = HostTensor.zeros(ElementType.UINT8, ENTRIES, CHANNELS, SIDE, SIDE);
        HostTensor stored = HostTensor.zeros(type, steps.shape());
        for (int i = 0; i < steps.elements(); i++) {
            int step = LARGEST - (random.nextInt(4) == 0 ? 1 : 0);
            steps.bytes().put(i, (byte) step);
            stored.bytes().put(i, (byte) (type == ElementType.UINT8 ? step : step - 128));
        }
        return new HostTensor[] {steps, stored};
    }

    private static long step(HostTensor steps, int row, int channel) {
        int place = row % (SIDE * SIDE);
        int entry = row / (SIDE * SIDE);
        return Byte.toUnsignedLong(steps.bytes().get((entry * CHANNELS + channel) * SIDE * SIDE + place));
    }

    @ParameterizedTest
    @MethodSource("cases")
    void sumsOfTheLargestIntegersAreExact(String name, ElementType type, int groups) {
        HostTensor[] data = data(type);
        try (Device device = Devices.open(name).device();
                UnfoldedSums sums = device.unfoldedSums(layer(type, groups), false);
                Tensor x = device.upload(data[1])) {
            sums.add(List.of(x), 0, ENTRIES);
            sums.add(List.of(x), 1, ENTRIES);
            UnfoldedTotals totals = sums.totals();
            int rows = ENTRIES * SIDE * SIDE;
            assertThat(totals.count()).isEqualTo(2L * rows);
            assertThat(totals.samples()).isEqualTo(2 * ENTRIES);
            int inputs = CHANNELS / groups;
            for (int i = 0; i < CHANNELS; i++) {
                for (int j = i / inputs * inputs; j < (i / inputs + 1) * inputs; j++) {
                    long sum = 0;
                    long product = 0;
                    for (int row = 0; row < rows; row++) {
                        sum += 2 * step(data[0], row, i);
                        product += 2 * step(data[0], row, i) * step(data[0], row, j);
                    }
                    assertThat(totals.sums()[i / inputs][i % inputs]).isEqualTo((double) sum);
                    assertThat(totals.products()[i / inputs][i % inputs * inputs + j % inputs])
                            .isEqualTo((double) product);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void whatIsClosedTakesNothingMore(String name, ElementType type, int groups) {
        try (Device device = Devices.open(name).device();
                Tensor x = device.upload(data(type)[1])) {
            UnfoldedSums sums = device.unfoldedSums(layer(type, groups), false);
            List<Tensor> input = List.of(x);
            sums.add(input, 0, ENTRIES);
            sums.close();
            assertThatThrownBy(() -> sums.add(input, 1, ENTRIES))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("closed");
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void totalsMayBeAskedForTwice(String name, ElementType type, int groups) {
        try (Device device = Devices.open(name).device();
                UnfoldedSums sums = device.unfoldedSums(layer(type, groups), false);
                Tensor x = device.upload(data(type)[1])) {
            sums.add(List.of(x), 0, ENTRIES);
            double[][] first = sums.totals().products();
            assertThat(sums.totals().products()).isDeepEqualTo(first);
        }
    }

    /** Of what the float layer makes of the differences, all positions count alike. */
    @ParameterizedTest
    @MethodSource("devices")
    void samplesOfSeveralSizesAddUp(String name) {
        Random random = new Random(8);
        double[] matrix = random.doubles(CHANNELS * CHANNELS, -1, 1).toArray();
        WeightError layer = new WeightError(
                TestOps.pointwise(),
                new long[] {CHANNELS, CHANNELS, 1, 1},
                matrix,
                matrix,
                Optional.of(ElementType.INT8),
                1,
                3);
        double[] sums = new double[CHANNELS];
        double[] squares = new double[CHANNELS];
        try (Device device = Devices.open(name).device();
                UnfoldedSums own = device.unfoldedSums(layer, true)) {
            for (int batch = 0; batch < 2; batch++) {
                int positions = batch == 0 ? 63 : 4;
                HostTensor q = HostTensor.zeros(ElementType.INT8, 1, CHANNELS, 1, positions);
                HostTensor x = HostTensor.zeros(ElementType.FLOAT, q.shape());
                for (int i = 0; i < q.elements(); i++) {
                    q.bytes().put(i, (byte) (random.nextInt(7) - 3));
                    x.floats().put(i, q.bytes().get(i) - 3 + (batch == 0 ? 1 : -2) * random.nextFloat());
                }
                try (Tensor floats = device.upload(x);
                        Tensor integers = device.upload(q)) {
                    own.add(List.of(floats, integers), batch, 1);
                }
                for (int at = 0; at < positions; at++) {
                    for (int c = 0; c < CHANNELS; c++) {
                        double u = 0;
                        for (int i = 0; i < CHANNELS; i++) {
                            int from = i * positions + at;
                            u += matrix[c * CHANNELS + i]
                                    * (x.floats().get(from) - (q.bytes().get(from) - 3));
                        }
                        sums[c] += u;
                        squares[c] += u * u;
                    }
                }
            }
            UnfoldedTotals totals = own.totals();
            for (int c = 0; c < CHANNELS; c++) {
                assertThat(totals.references()[c]).isCloseTo(sums[c], within(1e-4));
                assertThat(totals.squares()[c]).isCloseTo(squares[c], within(1e-4 * squares[c]));
            }
        }
    }

    private static Stream<String> devices() {
        return TestDevices.names().stream();
    }
}
