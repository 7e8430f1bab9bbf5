package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.rebias.device.Method;
import dev.rebias.device.Tensor;
import dev.rebias.device.WeightError;
import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.measure.Measurement;
import dev.rebias.measure.Moments;
import dev.rebias.measure.Role;
import dev.rebias.measure.TestMeasurements;
import dev.rebias.op.Convolution;
import dev.rebias.op.Window;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * What the second moments of a pointwise layer's bytes say of its errors is what every single error says, computed in
 * double precision.
 */
final class InputSquaresTest {
    private static final int LAYERS = 60;
    /** Of each figure. */
    private static final double TOLERANCE = 2e-6;

    private static WeightError weights(int in, int out, ElementType type, long zero, double[] error, double[] right) {
        Window pointwise = new Window(
                List.of(1L, 1L), List.of(1L, 1L), List.of(1L, 1L), List.of(0L, 0L, 0L, 0L), Window.AutoPad.NOTSET);
        return new WeightError(
                new Convolution(pointwise, 1), new long[] {out, in, 1, 1}, error, right, Optional.of(type), 1, zero);
    }

    @BeforeEach
    void processor() throws IOException {
        try (CpuDevice device = new CpuDevice(1)) {
            boolean known =
                    device.prefers(Method.GRAM, weights(2, 2, ElementType.UINT8, 0, new double[4], new double[4]));
            requireUnlessThereIsNone(known);
            Assumptions.assumeTrue(known, "only processors that multiply bytes find errors in this way");
        }
    }

    /** That a processor which multiplies bytes is known to, unless oneDNN is told to forget it. */
    static void requireUnlessThereIsNone(boolean known) throws IOException {
        if (!known && System.getenv("ONEDNN_MAX_CPU_ISA") == null) {
            assertThat(Files.readString(Path.of("/proc/cpuinfo"))).doesNotContain("avx512_vnni", "avx_vnni");
        }
    }

    @Test
    void itIsWhatEveryErrorSays() {
        Random random = new Random(5);
        double worst = 0;
        for (int i = 0; i < LAYERS; i++) {
            worst = Math.max(worst, difference(random));
        }
        System.out.printf("%d layers, the worst at %.1f %% of the bound%n", LAYERS, 100 * worst / TOLERANCE);
        assertThat(worst).isLessThan(TOLERANCE);
    }

    private static double difference(Random random) {
        int in = 1 + random.nextInt(70);
        int out = 1 + random.nextInt(40);
        int side = 1 + random.nextInt(20);
        ElementType type = random.nextBoolean() ? ElementType.UINT8 : ElementType.INT8;
        long zero = random.nextInt(7) - 3L;
        double[] right = random.doubles((long) in * out, -1, 1).toArray();
        double[] error = random.doubles((long) in * out, -0.02, 0.03).toArray();
        double[] bias = random.doubles(out).toArray();
        double[] reference = random.doubles(out).toArray();
        WeightError weights = weights(in, out, type, zero, error, right);
        List<HostTensor> batches = new ArrayList<>();
        for (int samples : new int[] {3, 1, 2}) {
            HostTensor x = HostTensor.zeros(type, samples, in, side, side);
            for (int i = 0; i < x.elements(); i++) {
                x.bytes().put(i, (byte) (random.nextInt(200) - 20));
            }
            batches.add(x);
        }
        Collections.shuffle(batches, random);
        Moments measured = measured(weights, bias, reference, batches);
        return compare(measured, weights, bias, reference, batches);
    }

    private static Moments measured(WeightError weights, double[] bias, double[] reference, List<HostTensor> batches) {
        try (CpuDevice device = new CpuDevice(1)) {
            try (Measurement moments = TestMeasurements.of(device, weights, bias, reference, Method.GRAM, false)) {
                for (int b = 0; b < batches.size(); b++) {
                    try (Tensor x = device.upload(batches.get(b))) {
                        moments.add(
                                Role.INPUT, List.of(x), b, (int) batches.get(b).shape()[0]);
                    }
                }
                moments.solve();
                Moments read = moments.read(true);
                assertThat(device.liveTensors()).isZero();
                return read;
            }
        }
    }

    private static double compare(
            Moments m, WeightError weights, double[] bias, double[] reference, List<HostTensor> batches) {
        // The float layer has the same data.
        List<HostTensor> floating = new ArrayList<>();
        for (HostTensor q : batches) {
            HostTensor x = HostTensor.zeros(ElementType.FLOAT, q.shape());
            for (int i = 0; i < x.elements(); i++) {
                x.floats().put(i, (float) (NaiveErrors.integer(q, i) - weights.zero()));
            }
            floating.add(x);
        }
        NaiveErrors expected = NaiveErrors.of(weights, bias, reference, floating, batches);
        double worst = 0;
        Moments.PerChannel channels = m.perChannel().orElseThrow();
        for (int c = 0; c < bias.length; c++) {
            double d = expected.delta(c, bias);
            // A mean is known to the precision of the bias in which it ends.
            worst = Math.max(worst, Math.abs(m.delta()[c] - d) / Math.max(1, Math.abs(d)));
            worst = Math.max(worst, off(channels.meanError()[c], expected.mean(c)));
            worst = Math.max(worst, off(channels.meanReference()[c], expected.referenceMean(c)));
            worst = Math.max(worst, off(channels.squaredSampleMeans()[c], expected.squaredSampleMean(c)));
        }
        assertThat(m.samples()).isEqualTo(expected.samples());
        worst = Math.max(worst, off(m.measured().mseBefore(), expected.mseBefore()));
        worst = Math.max(worst, off(m.measured().squaredBias(), expected.squaredBias()));
        worst = Math.max(worst, off(m.measured().signalPower(), expected.power()));
        // What is left is a small part of what there was where there is one position only.
        return Math.max(worst, Math.abs(m.measured().mseAfter() - expected.mseAfter(bias)) / expected.mseBefore());
    }

    private static double off(double actual, double expected) {
        return Math.abs(actual - expected) / Math.max(1e-3, Math.abs(expected));
    }

    /** More positions than an INT32 can hold the products of, all of them as large as can be. */
    @Test
    void sumsDoNotOverflow() {
        WeightError weights = weights(2, 1, ElementType.UINT8, 0, new double[] {0.5, 0.25}, new double[] {1, 1});
        HostTensor x = HostTensor.zeros(ElementType.UINT8, 1, 2, 400, 500);
        for (int i = 0; i < x.elements(); i++) {
            x.bytes().put(i, (byte) 255);
        }
        x.bytes().put(0, (byte) 0);
        Moments m = measured(weights, new double[1], new double[1], List.of(x, x));
        double count = 200_000;
        double most = 0.75 * 255;
        double least = 0.25 * 255;
        double mean = most - (most - least) / count;
        assertThat(m.perChannel().orElseThrow().meanError()[0]).isCloseTo(mean, within(1e-12 * mean));
        double square = most * most - (most * most - least * least) / count;
        assertThat(m.measured().mseBefore()).isCloseTo(square, within(1e-9 * square));
    }

    /** An identical layer has no errors at all. */
    @Test
    void withoutErrorsThereIsNone() {
        HostTensor x = HostTensor.zeros(ElementType.INT8, 2, 3, 5, 5);
        for (int i = 0; i < x.elements(); i++) {
            x.bytes().put(i, (byte) (i * 7));
        }
        double[] right = {1, 2, 3, -4, 5, 6};
        Moments m = measured(
                weights(3, 2, ElementType.INT8, 1, new double[6], right),
                new double[] {1, 2},
                new double[] {1, 2},
                List.of(x));
        assertThat(m.delta()).containsOnly(0f);
        assertThat(m.measured().mseBefore()).isZero();
        assertThat(m.measured().mseAfter()).isZero();
    }
}
