package dev.rebias.device.cpu.sums;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.device.cpu.onednn.ThreadScratch;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.Random;
import java.util.function.IntToDoubleFunction;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Sums of floats in every size and mixture, against sums of doubles. */
final class ChannelSumsTest {
    /** Of what the magnitudes of a channel add up to, and a thousandth of the others' mean. */
    private static final double TOLERANCE = 1e-9;

    private static final double OF_THE_OTHERS = 1;

    private static final int CHANNELS = 24;
    private static final int POSITIONS = 60 * 61;

    /** Values by element; those of one channel lie CHANNELS apart. */
    private static Stream<Arguments> mixtures() {
        Random random = new Random(7);
        IntToDoubleFunction normal = i -> random.nextGaussian();
        return Stream.of(
                mixture("normal", normal, normal),
                mixture("one constant", i -> 0.1, i -> 0.1 / 3),
                mixture("one negative constant", i -> -1.7, i -> -1.7 / 3),
                mixture("equal", i -> i % 97, i -> i % 97),
                mixture("all but equal", i -> i % 97, i -> (i % 97) * (1 + 1e-6 * (i % 5))),
                mixture("nothing", i -> 0, i -> 0),
                mixture("channels of all sizes", i -> Math.pow(10, -(i % CHANNELS)) * random.nextGaussian(), normal),
                mixture(
                        "channels of nothing",
                        i -> i % CHANNELS < 20 ? 0 : random.nextGaussian(),
                        i -> i % CHANNELS < 20 ? 0 : 1),
                mixture("something in a corner", i -> i < 500 ? random.nextGaussian() : 0, i -> 0),
                mixture("one element", i -> i == 777 ? 3 : 0, i -> i == 50_001 ? -5 : 0),
                mixture(
                        "one large element",
                        i -> i == 777 ? 1e6 : random.nextGaussian(),
                        i -> i == 50_001 ? 1e9 : random.nextGaussian()),
                mixture(
                        "large ones where we look",
                        i -> (i / CHANNELS) % (POSITIONS / 8) < 3 ? 1e5 : random.nextGaussian(),
                        normal),
                mixture("squares no float can hold", i -> 1e25 * random.nextGaussian(), normal),
                mixture("squares that are nothing as floats", i -> 1e-25 * random.nextGaussian(), i -> 0),
                mixture("small", i -> 1e-12 * random.nextGaussian(), i -> 0));
    }

    private static Arguments mixture(String name, IntToDoubleFunction x, IntToDoubleFunction y) {
        return Arguments.of(name, x, y);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("mixtures")
    void sumsOfEveryMixture(String name, IntToDoubleFunction x, IntToDoubleFunction y) {
        double worst = worst(x, y, CHANNELS, POSITIONS);
        System.out.printf("Error sums, %s: the worst at %.2f %% of the bound%n", name, 100 * worst / TOLERANCE);
        assertThat(worst).isLessThanOrEqualTo(TOLERANCE);
    }

    @Test
    void sumsOfEverySize() {
        Random random = new Random(8);
        double worst = 0;
        for (int test = 0; test < 200; test++) {
            int channels = 1 + random.nextInt(test % 10 == 0 ? 1500 : 70);
            int positions = 1 + random.nextInt(test % 7 == 0 ? 900_000 / channels : 60_000 / channels);
            IntToDoubleFunction values = i -> 1 + random.nextGaussian();
            worst = Math.max(worst, worst(values, values, channels, positions));
        }
        System.out.printf("Error sums, 200 sizes: the worst at %.2f %% of the bound%n", 100 * worst / TOLERANCE);
        assertThat(worst).isLessThanOrEqualTo(TOLERANCE);
    }

    @Test
    void whatIsNotFiniteShows() {
        for (float value : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
            FloatBuffer x = buffer(i -> i == 12_345 ? value : 1, CHANNELS * POSITIONS);
            FloatBuffer y = buffer(i -> 1, CHANNELS * POSITIONS);
            try (ThreadScratch scratch = new ThreadScratch()) {
                double[][] sums = new ChannelSums(scratch, CHANNELS, x, y, 1).of(0, CHANNELS * POSITIONS);
                int channel = 12_345 % CHANNELS;
                for (int c = 0; c < CHANNELS; c++) {
                    assertThat(Double.isFinite(sums[1][c]))
                            .as("channel %d with %s in %d", c, value, channel)
                            .isEqualTo(c != channel);
                    assertThat(Double.isFinite(sums[2][c])).isEqualTo(c != channel);
                }
            }
        }
    }

    private static FloatBuffer buffer(IntToDoubleFunction values, int n) {
        FloatBuffer buffer = FloatBuffer.allocate(n);
        for (int i = 0; i < n; i++) {
            buffer.put(i, (float) values.applyAsDouble(i));
        }
        return buffer;
    }

    /** The largest difference of any sum, over what it may be compared with. */
    private static double worst(IntToDoubleFunction left, IntToDoubleFunction right, int channels, int positions) {
        int n = channels * positions;
        FloatBuffer x = buffer(left, n);
        FloatBuffer y = buffer(right, n);
        double worst = 0;
        for (float sign : new float[] {1, -1}) {
            double[][] exact = new double[ChannelSums.SUMS][channels];
            double[][] sizes = new double[ChannelSums.SUMS][channels];
            for (int i = 0; i < n; i++) {
                double a = x.get(i);
                double z = a + sign * y.get(i);
                double[] terms = {a, a * a, z, z * z};
                for (int s = 0; s < ChannelSums.SUMS; s++) {
                    exact[s][i % channels] += terms[s];
                    sizes[s][i % channels] += Math.abs(terms[s]);
                }
            }
            double[][] sums;
            try (ThreadScratch scratch = new ThreadScratch()) {
                sums = new ChannelSums(scratch, channels, x, y, sign).of(0, n);
            }
            for (int s = 0; s < ChannelSums.SUMS; s++) {
                double others = OF_THE_OTHERS * Arrays.stream(sizes[s]).sum() / channels;
                for (int c = 0; c < channels; c++) {
                    double difference = Math.abs(sums[s][c] - exact[s][c]);
                    worst = difference == 0 ? worst : Math.max(worst, difference / (sizes[s][c] + others));
                }
            }
        }
        return worst;
    }
}
