package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.op.Gemm;
import dev.rebias.op.IntegerLayer;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Layers on integers, multiplied as bytes or as floats, give the exact sums: zero points, padding and signs included.
 */
final class IntegerLayerTest {
    @ParameterizedTest
    @CsvSource({"3, 3000", "20, 500"})
    void sumsAreExact(int width, int layers) {
        Random random = new Random(width);
        for (int i = 0; i < layers; i++) {
            check(RandomLayer.next(random, width), random);
        }
    }

    /**
     * Where the kernel stops short of the data's end, and groups have one input channel each, oneDNN 3.11 left products
     * out.
     */
    @Test
    void singleInputsAreExactAtTheEdges() {
        Random random = new Random(1);
        long[] ones = {1, 1};
        check(
                RandomLayer.convolution(
                        1, new long[] {1, 2}, ones, new long[] {3, 0, 3, 0}, new long[] {1, 1, 4, 3}, new long[] {
                            3, 1, 6, 4
                        }),
                random);
        check(
                RandomLayer.convolution(
                        1,
                        new long[] {1, 2},
                        new long[] {2, 1},
                        new long[] {2, 0, 2, 0},
                        new long[] {1, 1, 3, 2},
                        new long[] {3, 1, 6, 3}),
                random);
        check(
                RandomLayer.convolution(
                        2, new long[] {1, 3}, ones, new long[] {0, 0, 0, 0}, new long[] {6, 1, 1, 3}, new long[] {
                            3, 2, 7, 4
                        }),
                random);
        check(
                RandomLayer.convolution(
                        3, ones, ones, new long[] {0, 2, 0, 3}, new long[] {9, 1, 4, 4}, new long[] {3, 3, 8, 5}),
                random);
    }

    private static void check(RandomLayer layer, Random random) {
        ElementType type = random.nextBoolean() ? ElementType.UINT8 : ElementType.INT8;
        int low = type == ElementType.UINT8 ? 0 : -128;
        long zero = random.nextInt(3) == 0 ? 0 : low + random.nextInt(256);
        HostTensor integers = HostTensor.zeros(type, layer.data());
        HostTensor floats = HostTensor.zeros(ElementType.FLOAT, layer.data());
        for (int k = 0; k < integers.elements(); k++) {
            int value = low + random.nextInt(256);
            integers.bytes().put(k, (byte) value);
            floats.floats().put(k, (float) (value - zero));
        }
        // Small enough that floats hold every sum.
        HostTensor weights = HostTensor.zeros(ElementType.FLOAT, layer.weights());
        for (int k = 0; k < weights.elements(); k++) {
            weights.floats().put(k, random.nextInt(15) - 7);
        }
        HostTensor scale = HostTensor.zeros(ElementType.FLOAT, layer.op().channels(layer.weights()));
        for (int k = 0; k < scale.elements(); k++) {
            scale.floats().put(k, 0.25f);
        }
        HostTensor asBytes;
        HostTensor asFloats;
        HostTensor asSums;
        try (CpuDevice device = new CpuDevice(1);
                PreparedOp bytes = device.prepare(
                        new IntegerLayer(layer.op(), type, zero), operands(weights, new Operand.Constant(scale)));
                PreparedOp plain = device.prepare(layer.op(), operands(weights, new Operand.Absent()));
                PreparedOp sums = device.prepare(
                        new IntegerLayer(layer.op(), ElementType.FLOAT, 0),
                        operands(weights, new Operand.Constant(scale)));
                Tensor q = device.upload(integers);
                Tensor x = device.upload(floats);
                Tensor y = bytes.run(List.of(q)).get(0);
                Tensor z = plain.run(List.of(x)).get(0);
                Tensor s = sums.run(List.of(x)).get(0)) {
            asBytes = device.download(y);
            asFloats = device.download(z);
            asSums = device.download(s);
        }
        NaiveTensor expected =
                NaiveLayers.run(layer.op().toNode("x", "w", "", "y"), naive(floats), naive(weights), null);
        // A Gemm's alpha is no whole number.
        double rounding = layer.op() instanceof Gemm ? 1e-6 : 0;
        String which = layer + " of " + type + " with zero point " + zero;
        requireClose("floats, " + which, asFloats, 1, expected, rounding);
        requireClose("whole numbers as floats, " + which, asSums, 0.25, expected, rounding);
        requireClose("bytes, " + which, asBytes, 0.25, expected, rounding);
    }

    private static void requireClose(
            String what, HostTensor actual, double scale, NaiveTensor expected, double rounding) {
        FloatBuffer values = actual.floats();
        assertThat(values.remaining()).as(what).isEqualTo(expected.values().length);
        for (int k = 0; k < expected.values().length; k++) {
            double wanted = scale * expected.values()[k];
            if (!(Math.abs(values.get(k) - wanted) <= rounding * Math.abs(expected.values()[k]))) {
                fail("%s, element %d: %s instead of %s", what, k, values.get(k), wanted);
            }
        }
    }

    private static List<Operand> operands(HostTensor weights, Operand last) {
        return List.of(new Operand.Variable(), new Operand.Constant(weights), last);
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
