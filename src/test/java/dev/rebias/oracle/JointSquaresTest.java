package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnx.proto.OnnxMl.ModelProto;
import dev.rebias.device.Method;
import dev.rebias.device.Tensor;
import dev.rebias.device.WeightError;
import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.measure.Measurement;
import dev.rebias.measure.Moments;
import dev.rebias.measure.Role;
import dev.rebias.measure.TestMeasurements;
import dev.rebias.model.Graph;
import dev.rebias.model.GraphReader;
import dev.rebias.model.OnnxModel;
import dev.rebias.model.Pairing;
import dev.rebias.op.TestOps;
import dev.rebias.sweep.Plan;
import dev.rebias.sweep.Planner;
import dev.rebias.sweep.Reference;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * What means and products of both networks' data of a pointwise layer say of its errors is what every single error
 * says, computed in double precision.
 */
final class JointSquaresTest {
    private static final int LAYERS = 60;
    /** Of each figure. */
    private static final double TOLERANCE = 5e-6;

    /** A layer, and batches of its data in both networks. */
    private record Layer(
            WeightError weights,
            double[] bias,
            double[] referenceBias,
            List<HostTensor> floating,
            List<HostTensor> quantized) {}

    private static WeightError weights(
            int in, int out, ElementType type, float scale, long zero, double[] error, double[] right) {
        return new WeightError(
                TestOps.pointwise(),
                new long[] {out, in, 1, 1},
                times(error, scale),
                times(right, scale),
                Optional.of(type),
                scale,
                zero);
    }

    private static double[] times(double[] values, double factor) {
        double[] out = values.clone();
        for (int i = 0; i < out.length; i++) {
            out[i] *= factor;
        }
        return out;
    }

    @BeforeEach
    void processor() throws IOException {
        try (CpuDevice device = new CpuDevice(1)) {
            boolean known = device.prefers(
                    Method.JOINT_GRAM, weights(2, 4, ElementType.UINT8, 0.5f, 0, new double[8], new double[8]));
            InputSquaresTest.requireUnlessThereIsNone(known);
            Assumptions.assumeTrue(known, "only processors that multiply bytes find errors in this way");
        }
    }

    /**
     * A product of every input with every other for each sample is more work than its errors, where a sample is one
     * position.
     */
    @Test
    void layersBehindPoolingOfAWholeHaveTheirErrorsComputed() {
        GraphBuilder g = new GraphBuilder(5);
        String x = g.input("x", 8, 6, 5);
        String whole = g.node("Conv", "whole", List.of(x, g.weights("w", 1, 16, 8, 1, 1)));
        String mean = g.node("GlobalAveragePool", "mean", List.of(x));
        String pooled = g.node("Conv", "pooled", List.of(mean, g.weights("v", 1, 16, 8, 1, 1)));
        ModelProto floating = g.build(g.node("Mul", "y", List.of(whole, g.node("Sigmoid", "s", List.of(pooled)))));
        ModelProto quantized = QdqWriter.write(
                floating, new QdqWriter.Scheme(8, false, true, false, false), Toy.samples(floating, 4, 7));
        Graph f = GraphReader.read(OnnxModel.of("float", floating));
        Graph q = GraphReader.read(OnnxModel.of("quantised", quantized));
        try (CpuDevice device = new CpuDevice(1)) {
            Plan plan = Planner.plan(
                    Reference.NETWORK,
                    true,
                    device,
                    f,
                    q,
                    Map.of("x", "x"),
                    Pairing.of(f, q).pairs(),
                    true);
            assertThat(plan.layers()).extracting(l -> l.floating().output()).containsExactly("whole", "pooled");
            assertThat(plan.measured())
                    .extracting(Plan.Measured::methods)
                    .containsExactly(List.of(Method.JOINT_GRAM), List.of(Method.ERRORS));
        }
    }

    @Test
    void itIsWhatEveryErrorSays() {
        Random random = new Random(7);
        double worst = 0;
        for (int i = 0; i < LAYERS; i++) {
            Layer layer = layer(random, 3, 1, 2);
            worst = Math.max(worst, compare(measured(layer, random), layer));
        }
        System.out.printf("%d layers, the worst at %.1f %% of the bound%n", LAYERS, 100 * worst / TOLERANCE);
        assertThat(worst).isLessThan(TOLERANCE);
    }

    /** The same samples in one batch and in several, which come in any order. */
    @Test
    void batchesChangeNoBit() {
        Random random = new Random(8);
        Layer one = layer(random, 6);
        List<HostTensor> floating = new ArrayList<>();
        List<HostTensor> quantized = new ArrayList<>();
        for (int[] part : new int[][] {{0, 1}, {1, 4}, {4, 6}}) {
            floating.add(LayerGroupTest.part(one.floating().get(0), part[0], part[1]));
            quantized.add(LayerGroupTest.part(one.quantized().get(0), part[0], part[1]));
        }
        Layer several = new Layer(one.weights(), one.bias(), one.referenceBias(), floating, quantized);
        Moments whole = measured(one, random);
        Moments parts = measured(several, random);
        assertThat(parts.delta()).isEqualTo(whole.delta());
        assertThat(parts.measured()).isEqualTo(whole.measured());
        assertThat(parts.perChannel().orElseThrow().squaredSampleMeans())
                .isEqualTo(whole.perChannel().orElseThrow().squaredSampleMeans());
    }

    /**
     * Where the float network's data are what the integers stand for, and the weights are right, there is no error at
     * all.
     */
    @Test
    void withoutErrorsThereIsNone() {
        HostTensor q = HostTensor.zeros(ElementType.INT8, 2, 3, 5, 5);
        HostTensor x = HostTensor.zeros(ElementType.FLOAT, 2, 3, 5, 5);
        for (int i = 0; i < q.elements(); i++) {
            q.bytes().put(i, (byte) (i * 7));
            x.floats().put(i, 0.25f * ((byte) (i * 7) - 1));
        }
        double[] right = {1, 2, 3, -4, 5, 6, 7, 8, 9, 1, 1, 1, 2, 2, 2, 3, 3, 3};
        Layer layer = new Layer(
                weights(3, 6, ElementType.INT8, 0.25f, 1, new double[18], right),
                new double[6],
                new double[6],
                List.of(x),
                List.of(q));
        Moments m = measured(layer, new Random(1));
        assertThat(m.delta()).containsOnly(0f);
        assertThat(m.measured().mseBefore()).isZero();
        assertThat(m.measured().mseAfter()).isZero();
    }

    /** Some of whose floats are far from what the integers can stand for. */
    private static Layer layer(Random random, int... batches) {
        int in = 1 + random.nextInt(50);
        int out = 2 * in + random.nextInt(40);
        int side = 1 + random.nextInt(20);
        ElementType type = random.nextBoolean() ? ElementType.UINT8 : ElementType.INT8;
        int low = type == ElementType.UINT8 ? 0 : -128;
        long zero = random.nextInt(3) == 0 ? 0 : low + random.nextInt(256);
        float scale = 0.01f + random.nextFloat();
        double[] right = random.doubles((long) in * out, -1, 1).toArray();
        double[] error = random.doubles((long) in * out, -0.02, 0.03).toArray();
        List<HostTensor> floating = new ArrayList<>();
        List<HostTensor> quantized = new ArrayList<>();
        for (int samples : batches) {
            HostTensor q = HostTensor.zeros(type, samples, in, side, side);
            HostTensor x = HostTensor.zeros(ElementType.FLOAT, samples, in, side, side);
            for (int i = 0; i < q.elements(); i++) {
                int value = low + random.nextInt(256);
                q.bytes().put(i, (byte) value);
                double off = random.nextInt(50) == 0 ? 100 : random.nextDouble() - 0.4;
                x.floats().put(i, (float) (scale * (value - zero + off)));
            }
            floating.add(x);
            quantized.add(q);
        }
        return new Layer(
                weights(in, out, type, scale, zero, error, right),
                random.doubles(out).toArray(),
                random.doubles(out).toArray(),
                floating,
                quantized);
    }

    private static Moments measured(Layer layer, Random random) {
        List<Integer> order = new ArrayList<>();
        for (int b = 0; b < layer.quantized().size(); b++) {
            order.add(b);
        }
        Collections.shuffle(order, random);
        try (CpuDevice device = new CpuDevice(1)) {
            try (Measurement moments = TestMeasurements.of(
                    device, layer.weights(), layer.bias(), layer.referenceBias(), Method.JOINT_GRAM, true)) {
                for (int b : order) {
                    HostTensor of = layer.quantized().get(b);
                    try (Tensor x = device.upload(layer.floating().get(b));
                            Tensor q = device.upload(of)) {
                        moments.add(Role.INPUTS, List.of(x, q), b, (int) of.shape()[0]);
                    }
                }
                moments.solve();
                Moments read = moments.read(true);
                assertThat(device.liveTensors()).isZero();
                return read;
            }
        }
    }

    private static double compare(Moments m, Layer layer) {
        NaiveErrors expected = NaiveErrors.of(
                layer.weights(), layer.bias(), layer.referenceBias(), layer.floating(), layer.quantized());
        double largest = 0;
        for (int c = 0; c < expected.channels(); c++) {
            largest = Math.max(largest, Math.sqrt(expected.square(c)));
        }
        double worst = 0;
        Moments.PerChannel channels = m.perChannel().orElseThrow();
        for (int c = 0; c < expected.channels(); c++) {
            // Means are small beside the errors that they are of.
            double delta = Math.abs(m.delta()[c] - expected.delta(c, layer.bias())) / Math.max(1, largest);
            double mean = Math.abs(channels.meanError()[c] - expected.mean(c)) / largest;
            double reference =
                    Math.abs(channels.meanReference()[c] - expected.referenceMean(c)) / Math.sqrt(expected.power());
            double sample = Math.abs(channels.squaredSampleMeans()[c] - expected.squaredSampleMean(c));
            worst = Math.max(worst, Math.max(Math.max(delta, mean), reference));
            worst = Math.max(worst, sample / (largest * largest));
        }
        assertThat(m.samples()).isEqualTo(expected.samples());
        double before = expected.mseBefore();
        worst = Math.max(worst, off(m.measured().mseBefore(), before));
        worst = Math.max(worst, Math.abs(m.measured().squaredBias() - expected.squaredBias()) / before);
        worst = Math.max(worst, off(m.measured().signalPower(), expected.power()));
        return Math.max(worst, Math.abs(m.measured().mseAfter() - expected.mseAfter(layer.bias())) / before);
    }

    private static double off(double actual, double expected) {
        return Math.abs(actual - expected) / expected;
    }
}
