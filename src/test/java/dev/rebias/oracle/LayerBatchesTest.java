package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.device.Device;
import dev.rebias.device.Devices;
import dev.rebias.device.Emulator;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.device.TestDevices;
import dev.rebias.op.Gemm;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerOp;
import dev.rebias.op.TransposedConvolution;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What a sample gives alone and in a batch. Sums of integers are the same bits. Sums of floats may be added up in
 * another order, because a library chooses its kernel by the shapes; how far they may be apart follows from how many
 * there are.
 */
@Tag("cuda")
final class LayerBatchesTest {
    private static final int LAYERS = 400;
    /** A float's rounding error. */
    private static final double UNIT = 1.0 / (1 << 24);

    static List<String> devices() {
        return TestDevices.names();
    }

    private static boolean hasBatch(RandomLayer layer) {
        return !(layer.op() instanceof Gemm g && g.transA());
    }

    private static long[] withBatch(long[] shape, long batch) {
        long[] other = shape.clone();
        other[0] = batch;
        return other;
    }

    @ParameterizedTest
    @MethodSource("devices")
    void integersGiveTheSameBitsInEveryBatch(String name) {
        Random random = new Random(18);
        int dilated = 0;
        try (Device device = Devices.open(name).device()) {
            for (int i = 0; i < LAYERS; i++) {
                RandomLayer layer = RandomLayer.next(random, 6);
                dilated += isDilatedIn3D(layer.op()) ? 1 : 0;
                HostTensor weights = HostTensor.zeros(ElementType.FLOAT, layer.weights());
                for (int k = 0; k < weights.elements(); k++) {
                    weights.floats().put(k, random.nextInt(15) - 7);
                }
                ElementType type = random.nextBoolean() ? ElementType.UINT8 : ElementType.INT8;
                int low = type == ElementType.UINT8 ? 0 : -128;
                long zero = (long) low + random.nextInt(256);
                HostTensor data = HostTensor.zeros(type, layer.data());
                HostTensor shifted = HostTensor.zeros(ElementType.FLOAT, layer.data());
                for (int k = 0; k < data.elements(); k++) {
                    int value = low + random.nextInt(256);
                    data.bytes().put(k, (byte) value);
                    shifted.floats().put(k, (float) (value - zero));
                }
                List<Operand> operands =
                        List.of(new Operand.Variable(), new Operand.Constant(weights), new Operand.Absent());
                try (PreparedOp op = device.prepare(new IntegerLayer(layer.op(), type, zero), operands)) {
                    float[] together = run(device, op, data);
                    if (!(layer.op() instanceof Gemm)) {
                        double[] expected = naive(layer, shifted, weights).values();
                        for (int k = 0; k < together.length; k++) {
                            assertThat((double) together[k]).as("%s", layer).isEqualTo(expected[k]);
                        }
                    }
                    for (int s = 0; hasBatch(layer) && s < 3; s++) {
                        float[] alone = run(device, op, sample(data, s));
                        assertThat(alone)
                                .as("%s, sample %d", layer, s)
                                .isEqualTo(Arrays.copyOfRange(together, s * alone.length, (s + 1) * alone.length));
                    }
                }
            }
            assertThat(device.log().warnings())
                    .as("none of them runs on the host")
                    .allMatch(w -> w.contains("emulator"));
        }
        assertThat(dilated).as("transposed and dilated in three dimensions").isGreaterThan(5);
    }

    private static boolean isDilatedIn3D(LayerOp op) {
        return op instanceof TransposedConvolution t
                && t.window().kernel().size() == 3
                && t.window().dilations().stream().anyMatch(d -> d > 1)
                && t.window().kernel().stream().anyMatch(k -> k > 1);
    }

    @ParameterizedTest
    @MethodSource("devices")
    void floatsStayWithinWhatTheOrderOfASumMayDo(String name) {
        Random random = new Random(19);
        double worst = 0;
        int different = 0;
        try (Device device = Devices.open(name).device()) {
            for (int i = 0; i < LAYERS; i++) {
                RandomLayer layer = RandomLayer.next(random, 6);
                HostTensor weights = gaussian(random, layer.weights());
                HostTensor data = gaussian(random, layer.data());
                double[] expected = naive(layer, data, weights).values();
                // The sum of the magnitudes of what each output adds up, and how many those are at most.
                double[] sizes =
                        naive(layer, magnitudes(data), magnitudes(weights)).values();
                double terms = layer.op() instanceof TransposedConvolution
                        ? weights.elements()
                        : (double) weights.elements() / layer.weights()[0] + 1;
                double bound = (terms + 4) * UNIT;
                List<Operand> operands =
                        List.of(new Operand.Variable(), new Operand.Constant(weights), new Operand.Absent());
                try (PreparedOp op = device.prepare(layer.op(), operands)) {
                    float[] together = run(device, op, data);
                    for (int k = 0; k < together.length; k++) {
                        worst = Math.max(worst, share(together[k], expected[k], bound * Math.abs(sizes[k])));
                    }
                    for (int s = 0; hasBatch(layer) && s < 3; s++) {
                        float[] alone = run(device, op, sample(data, s));
                        boolean same = true;
                        for (int k = 0; k < alone.length; k++) {
                            int at = s * alone.length + k;
                            worst = Math.max(worst, share(alone[k], expected[at], bound * Math.abs(sizes[at])));
                            same = same && alone[k] == together[at];
                        }
                        different += same ? 0 : 1;
                    }
                }
            }
        }
        System.out.printf(
                "%s: %d random layers in batches of 1 and 3, worst at %.1f %% of the bound, %d samples with other "
                        + "last bits%n",
                name, LAYERS, 100 * worst, different);
        assertThat(worst).isLessThan(1);
        if (Emulator.present()) {
            assertThat(different)
                    .as("the emulator adds in an order that depends on the batch, as real libraries may")
                    .isGreaterThan(LAYERS / 4);
        }
    }

    private static double share(double actual, double expected, double bound) {
        double difference = Math.abs(actual - expected);
        return difference == 0 ? 0 : difference / bound;
    }

    private static HostTensor gaussian(Random random, long[] shape) {
        HostTensor values = HostTensor.zeros(ElementType.FLOAT, shape);
        for (int k = 0; k < values.elements(); k++) {
            values.floats().put(k, (float) random.nextGaussian());
        }
        return values;
    }

    private static HostTensor magnitudes(HostTensor values) {
        HostTensor sizes = HostTensor.zeros(ElementType.FLOAT, values.shape());
        for (int k = 0; k < sizes.elements(); k++) {
            sizes.floats().put(k, Math.abs(values.floats().get(k)));
        }
        return sizes;
    }

    private static HostTensor sample(HostTensor data, int s) {
        HostTensor one = HostTensor.zeros(data.type(), withBatch(data.shape(), 1));
        int bytes = one.bytes().capacity();
        one.bytes().put(data.bytes().slice(s * bytes, bytes));
        return one;
    }

    private static float[] run(Device device, PreparedOp op, HostTensor data) {
        try (Tensor x = device.upload(data);
                Tensor y = op.run(List.of(x)).get(0)) {
            FloatBuffer values = device.download(y).floats();
            float[] all = new float[values.remaining()];
            values.get(all);
            return all;
        }
    }

    private static NaiveTensor naive(RandomLayer layer, HostTensor data, HostTensor weights) {
        return NaiveLayers.run(layer.op().toNode("x", "w", "", "y"), naive(data), naive(weights), null);
    }

    private static NaiveTensor naive(HostTensor t) {
        double[] values = new double[Math.toIntExact(t.elements())];
        for (int i = 0; i < values.length; i++) {
            values[i] = t.floats().get(i);
        }
        return new NaiveTensor(
                values, Arrays.stream(t.shape()).mapToInt(Math::toIntExact).toArray());
    }
}
