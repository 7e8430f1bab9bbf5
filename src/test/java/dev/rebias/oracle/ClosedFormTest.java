package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.rebias.device.Device;
import dev.rebias.device.Devices;
import dev.rebias.device.Method;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.device.TestDevices;
import dev.rebias.device.WeightError;
import dev.rebias.measure.Measurement;
import dev.rebias.measure.Role;
import dev.rebias.measure.TestMeasurements;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.Op;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The closed form of a layer's mean error is what computing every error gives, on every device. */
@Tag("cuda")
final class ClosedFormTest {
    private static final int LAYERS = 100;
    /** Of the largest correction. */
    private static final double TOLERANCE = 1e-6;

    private static final int ZERO = 3;

    private static Stream<String> devices() {
        return TestDevices.names().stream();
    }

    @ParameterizedTest
    @MethodSource("devices")
    void itIsWhatComputingEveryErrorGives(String device) {
        compare(device, new Random(11), ClosedFormTest::difference);
    }

    /** Of both networks' layers, where each has data of its own: what computing both outputs gives. */
    @ParameterizedTest
    @MethodSource("devices")
    void ofBothNetworksItIsWhatComputingBothOutputsGives(String device) {
        compare(device, new Random(13), ClosedFormTest::jointDifference);
    }

    /** How far the closed form of a layer is from what is computed. */
    private interface Difference {
        double of(Device device, RandomLayer layer, boolean integers, Random random);
    }

    private static void compare(String name, Random random, Difference of) {
        double worst = 0;
        for (int done = 0; done < LAYERS; done++) {
            RandomLayer layer = RandomLayer.next(random, 4);
            boolean integers = random.nextBoolean();
            double difference;
            try (Device device = Devices.open(name).device()) {
                difference = of.of(device, layer, integers, random);
            }
            assertThat(difference)
                    .as(
                            "%s, %s on %s, integers %s",
                            layer.op(), Arrays.toString(layer.weights()), Arrays.toString(layer.data()), integers)
                    .isLessThan(TOLERANCE);
            worst = Math.max(worst, difference);
        }
        System.out.printf("%d layers, the worst at %.1f %% of the bound%n", LAYERS, 100 * worst / TOLERANCE);
    }

    /** How far the corrections are apart, as a part of the largest. */
    private static double apart(Measurement closed, Measurement computed) {
        closed.solve();
        computed.solve();
        assertThat(closed.read(false).samples()).isEqualTo(6);
        float[] delta = closed.read(false).delta();
        float[] expected = computed.read(false).delta();
        double largest = 0;
        double apart = 0;
        for (int c = 0; c < expected.length; c++) {
            largest = Math.max(largest, Math.abs(expected[c]));
            apart = Math.max(apart, Math.abs(delta[c] - expected[c]));
        }
        return apart / largest;
    }

    private static Stream<Arguments> devicesAndTypes() {
        return devices()
                .flatMap(d -> Stream.of(ElementType.UINT8, ElementType.INT8).map(type -> Arguments.of(d, type)));
    }

    /**
     * Sums of 8-bit integers are exact: of the largest and the smallest, over more rows than 16 bits hold the sum of,
     * at borders and between them.
     */
    @ParameterizedTest
    @MethodSource("devicesAndTypes")
    void sumsOfBytesAreExact(String name, ElementType type) {
        int channels = 8;
        int height = 600;
        int width = 4;
        RandomLayer layer = RandomLayer.convolution(
                channels,
                new long[] {2, 1},
                new long[] {1, 1},
                new long[] {1, 1, 1, 1},
                new long[] {channels, 1, 3, 3},
                new long[] {1, channels, height, width});
        Random random = new Random(17);
        double[] weights = random.doubles(9L * channels).toArray();
        HostTensor data = HostTensor.zeros(type, layer.data());
        for (int i = 0; i < data.elements(); i++) {
            // Even channels are as large as can be, odd ones as small; a few are anything.
            int value = random.nextInt(100) == 0 ? random.nextInt(256) : i / (height * width) % 2 == 0 ? 255 : 0;
            data.bytes().put(i, (byte) (type == ElementType.INT8 ? value - 128 : value));
        }
        double[] expected = new double[channels];
        int rows = height / 2;
        for (int c = 0; c < channels; c++) {
            for (int y = 0; y < rows; y++) {
                for (int x = 0; x < width; x++) {
                    for (int tap = 0; tap < 9; tap++) {
                        int h = 2 * y + tap / 3 - 1;
                        int w = x + tap % 3 - 1;
                        if (h >= 0 && h < height && w >= 0 && w < width) {
                            byte stored = data.bytes().get((c * height + h) * width + w);
                            int value = type == ElementType.INT8 ? stored : Byte.toUnsignedInt(stored);
                            expected[c] += weights[9 * c + tap] * (value - ZERO) / (rows * width);
                        }
                    }
                }
            }
        }
        WeightError error = new WeightError(layer.op(), layer.weights(), weights, weights, Optional.of(type), 1, ZERO);
        double[] none = new double[channels];
        try (Device device = Devices.open(name).device();
                Measurement closed = TestMeasurements.of(device, error, none, none, Method.CLASS_SUMS, false);
                Tensor uploaded = device.upload(data)) {
            closed.add(Role.INPUT, List.of(uploaded), 0, 1);
            closed.add(Role.INPUT, List.of(uploaded), 1, 1);
            closed.solve();
            for (int c = 0; c < channels; c++) {
                assertThat(closed.read(false).delta()[c]).isEqualTo((float) expected[c], within(2e-7f * 255 * 9));
            }
        }
    }

    private static double difference(Device device, RandomLayer layer, boolean integers, Random random) {
        int channels = layer.op().channels(layer.weights());
        double[] bias = random.doubles(channels).toArray();
        double[] reference = random.doubles(channels).toArray();
        double[] weights = random.doubles(Shape.elements(layer.weights()), 0.1, 1)
                .map(v -> (float) v)
                .toArray();
        Optional<ElementType> type = integers ? Optional.of(ElementType.UINT8) : Optional.empty();
        WeightError error =
                new WeightError(layer.op(), layer.weights(), weights, weights, type, 1, integers ? ZERO : 0);
        Op computing = integers ? new IntegerLayer(layer.op(), ElementType.UINT8, ZERO) : layer.op();
        try (Measurement closed = TestMeasurements.of(device, error, bias, reference, Method.CLASS_SUMS, false);
                PreparedOp errors = device.prepare(computing, operands(layer, floats(weights)));
                Measurement computed = TestMeasurements.of(device, error, bias, reference, Method.ERRORS, false)) {
            for (int batch = 0; batch < 2; batch++) {
                try (Tensor data = device.upload(data(layer.data(), integers, random))) {
                    closed.add(Role.INPUT, List.of(data), batch, 3);
                    try (Tensor e = errors.run(List.of(data)).get(0)) {
                        computed.add(Role.OUTPUTS, List.of(e, e), batch, 3);
                    }
                }
            }
            return apart(closed, computed);
        }
    }

    private static double jointDifference(Device device, RandomLayer layer, boolean integers, Random random) {
        int channels = layer.op().channels(layer.weights());
        int elements = Math.toIntExact(Shape.elements(layer.weights()));
        double[] bias = random.doubles(channels).toArray();
        double[] reference = random.doubles(channels).toArray();
        double scale = integers ? 1.0 / 256 : 1;
        // Floats, so that both ways multiply by the same.
        float[] floating = new float[elements];
        float[] quantized = new float[elements];
        double[] difference = new double[elements];
        double[] scaled = new double[elements];
        for (int i = 0; i < elements; i++) {
            floating[i] = 1 + random.nextFloat();
            quantized[i] = (float) (scale * random.nextFloat() / 2);
            scaled[i] = scale * floating[i];
            difference[i] = scaled[i] - quantized[i];
        }
        Optional<ElementType> type = integers ? Optional.of(ElementType.UINT8) : Optional.empty();
        int zero = integers ? ZERO : 0;
        WeightError error = new WeightError(layer.op(), layer.weights(), difference, scaled, type, scale, zero);
        Op computing = integers ? new IntegerLayer(layer.op(), ElementType.UINT8, ZERO) : layer.op();
        try (Measurement closed = TestMeasurements.of(device, error, bias, reference, Method.CLASS_SUMS, true);
                PreparedOp floats = device.prepare(layer.op(), operands(layer, floating));
                PreparedOp own = device.prepare(computing, operands(layer, quantized));
                Measurement computed = TestMeasurements.of(device, error, bias, reference, Method.ERRORS, true)) {
            for (int batch = 0; batch < 2; batch++) {
                try (Tensor x = device.upload(data(layer.data(), false, random));
                        Tensor q = device.upload(data(layer.data(), integers, random));
                        Tensor yf = floats.run(List.of(x)).get(0);
                        Tensor yq = own.run(List.of(q)).get(0)) {
                    closed.add(Role.REFERENCE_INPUT, List.of(x), batch, 3);
                    closed.add(Role.INPUT, List.of(q), batch, 3);
                    computed.add(Role.OUTPUTS, List.of(yf, yq), batch, 3);
                }
            }
            return apart(closed, computed);
        }
    }

    private static float[] floats(double[] values) {
        float[] floats = new float[values.length];
        for (int i = 0; i < floats.length; i++) {
            floats[i] = (float) values[i];
        }
        return floats;
    }

    private static List<Operand> operands(RandomLayer layer, float[] weights) {
        return List.of(
                new Operand.Variable(),
                new Operand.Constant(HostTensor.of(weights, layer.weights())),
                new Operand.Absent());
    }

    private static HostTensor data(long[] shape, boolean integers, Random random) {
        HostTensor x = HostTensor.zeros(integers ? ElementType.UINT8 : ElementType.FLOAT, shape);
        for (int i = 0; i < x.elements(); i++) {
            if (integers) {
                x.bytes().put(i, (byte) random.nextInt(256));
            } else {
                x.floats().put(i, random.nextFloat() + 0.1f);
            }
        }
        return x;
    }
}
