package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.device.Device;
import dev.rebias.device.Devices;
import dev.rebias.device.Method;
import dev.rebias.device.Tensor;
import dev.rebias.device.TestDevices;
import dev.rebias.device.WeightError;
import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.measure.Measurement;
import dev.rebias.measure.Moments;
import dev.rebias.measure.Role;
import dev.rebias.measure.TestMeasurements;
import dev.rebias.measure.WeightChoice;
import dev.rebias.op.Unfolding;
import dev.rebias.op.WeightGrid;
import dev.rebias.rounding.Parallel;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What layers of every kind make of new weights, told from second moments, is what running them in double precision
 * shows; no channel gets worse; and where the data are integers every device chooses the same weights.
 */
@Tag("cuda")
final class ReroundedLayersTest {
    /** For each reference. The emulated card is slow, and its sums are compared with the CPU's besides. */
    private static final int LAYERS = 100;

    private static final int LAYERS_ON_A_CARD = 30;
    private static final int SAMPLES = 3;

    /** A layer of random kind with its weights on a grid, and batches of data for both networks. */
    private record Case(
            RandomLayer layer, WeightError weights, Grid grid, List<HostTensor> data, List<HostTensor> references) {
        NodeProto node() {
            return layer.op().toNode("x", "w", "", "y");
        }

        /** The real values of a batch. */
        NaiveTensor real(HostTensor batch) {
            double[] values = TestTensors.doubles(batch);
            boolean integers = batch.type() != ElementType.FLOAT;
            for (int i = 0; i < values.length; i++) {
                values[i] = integers ? (values[i] - weights.zero()) * weights.scale() : values[i];
            }
            return new NaiveTensor(values, ints(batch.shape()));
        }

        double[] outputs(HostTensor batch, double[] w) {
            return NaiveLayers.run(node(), real(batch), new NaiveTensor(w, ints(layer.weights())), null)
                    .values();
        }

        double[] reference() {
            return Arrays.stream(weights.reference())
                    .map(w -> w / weights.scale())
                    .toArray();
        }
    }

    /** A grid with a step and a zero point for each weight. */
    private record Grid(double[] multiples, double[] steps, double[] zeros, double top) implements WeightGrid {
        @Override
        public double step(int weight) {
            return steps[weight];
        }

        @Override
        public double lowest(int weight) {
            return -top - zeros[weight];
        }

        @Override
        public double highest(int weight) {
            return top - zeros[weight];
        }

        double[] weights(double[] of) {
            return IntStream.range(0, of.length)
                    .mapToDouble(i -> of[i] * steps[i])
                    .toArray();
        }
    }

    private static int[] ints(long[] shape) {
        return Arrays.stream(shape).mapToInt(Math::toIntExact).toArray();
    }

    private static Case draw(Random random, boolean joint) {
        RandomLayer layer = RandomLayer.next(random, 6);
        while (Unfolding.of(layer.op(), layer.weights()).isEmpty()) {
            layer = RandomLayer.next(random, 6);
        }
        int n = ints(layer.weights())[0] * NaiveTensor.size(ints(layer.weights())) / ints(layer.weights())[0];
        int kind = random.nextInt(3);
        Optional<ElementType> type =
                kind == 0 ? Optional.empty() : Optional.of(kind == 1 ? ElementType.UINT8 : ElementType.INT8);
        double scale = kind == 0 ? 1 : 0.02;
        long zero = kind == 0 ? 0 : kind == 1 ? 77 : -5;
        double[] w = IntStream.range(0, n)
                .mapToDouble(i -> random.nextGaussian() * 0.4)
                .toArray();
        // Per tensor, or in blocks of what follows each other; symmetric, or with zero points of their own.
        int block = random.nextBoolean() ? n : 1 + random.nextInt(n);
        double top = 1 + random.nextInt(7);
        double[] blockSteps = random.doubles(n, 0.5, 1.5).map(s -> s / top).toArray();
        double[] blockZeros = random.doubles(n, -1, 1).map(Math::rint).toArray();
        boolean asymmetric = random.nextBoolean();
        double[] steps =
                IntStream.range(0, n).mapToDouble(i -> blockSteps[i / block]).toArray();
        double[] zeros = IntStream.range(0, n)
                .mapToDouble(i -> asymmetric ? blockZeros[i / block] : 0)
                .toArray();
        double[] multiples = new double[n];
        Arrays.setAll(
                multiples, i -> Math.max(-top - zeros[i], Math.min(top - zeros[i], Math.rint(w[i] / steps[i]))) + 0.0);
        Grid grid = new Grid(multiples, steps, zeros, top);
        double[] difference = new double[n];
        double[] reference = new double[n];
        Arrays.setAll(difference, i -> (w[i] - multiples[i] * steps[i]) * scale);
        Arrays.setAll(reference, i -> w[i] * scale);
        List<HostTensor> data = new ArrayList<>();
        List<HostTensor> references = new ArrayList<>();
        for (int b = 0; b < 2; b++) {
            HostTensor batch = HostTensor.zeros(type.orElse(ElementType.FLOAT), layer.data());
            HostTensor floats = HostTensor.zeros(ElementType.FLOAT, layer.data());
            double last = 0;
            for (int i = 0; i < batch.elements(); i++) {
                last = 0.7 * last + random.nextGaussian() + 0.1;
                if (kind == 0) {
                    batch.floats().put(i, (float) last);
                } else {
                    batch.bytes().put(i, (byte) Math.max(-100, Math.min(100, Math.rint(last * 30 + zero))));
                }
            }
            Case real = new Case(
                    layer,
                    new WeightError(layer.op(), layer.weights(), difference, reference, type, scale, zero),
                    grid,
                    List.of(),
                    List.of());
            double[] values = real.real(batch).values();
            for (int i = 0; i < values.length; i++) {
                floats.floats()
                        .put(i, (float) (values[i] + (joint ? 0.3 * random.nextGaussian() + 0.1 * values[i] : 0)));
            }
            data.add(batch);
            references.add(joint ? floats : batch);
        }
        WeightError weights = new WeightError(layer.op(), layer.weights(), difference, reference, type, scale, zero);
        return new Case(layer, weights, grid, data, references);
    }

    /** Of each channel, the mean and the variance of the errors that such weights make. */
    private static double[][] errors(Case c, double[] weights) {
        int channels = c.layer().op().channels(c.layer().weights());
        double[][] sums = new double[2][channels];
        long count = 0;
        for (int b = 0; b < c.data().size(); b++) {
            double[] f = c.outputs(c.references().get(b), c.reference());
            double[] q = c.outputs(c.data().get(b), weights);
            long[] shape =
                    c.layer().op().outputShape(c.layer().data(), c.layer().weights());
            int axis = c.layer().op().channelAxis(shape.length);
            int inner = NaiveTensor.size(Arrays.copyOfRange(ints(shape), axis + 1, shape.length));
            for (int i = 0; i < f.length; i++) {
                double e = f[i] - q[i];
                sums[0][i / inner % channels] += e;
                sums[1][i / inner % channels] += e * e;
            }
            count += f.length / channels;
        }
        for (int m = 0; m < channels; m++) {
            sums[0][m] /= count;
            sums[1][m] = sums[1][m] / count - sums[0][m] * sums[0][m];
        }
        return sums;
    }

    private static Stream<Arguments> devices() {
        return TestDevices.names().stream().flatMap(d -> Stream.of(Arguments.of(d, false), Arguments.of(d, true)));
    }

    @ParameterizedTest
    @MethodSource("devices")
    void noChannelGetsWorseAndTheErrorsAreThoseOfTheDefinition(String name, boolean joint) {
        Random random = new Random(joint ? 11 : 12);
        int moved = 0;
        int integers = 0;
        int layers = name.equals("cpu") ? LAYERS : LAYERS_ON_A_CARD;
        try (Device device = Devices.open(name).device();
                Device other = new CpuDevice(1)) {
            for (int i = 0; i < layers; i++) {
                Case c = draw(random, joint);
                WeightChoice choice = check(device, c, joint);
                moved += choice.adjusted() ? 1 : 0;
                if (!joint && c.weights().dataType().isPresent()) {
                    assertThat(choice.multiples())
                            .as("%s", c.layer())
                            .containsExactly(choose(other, c).multiples());
                    integers++;
                }
            }
        }
        assertThat(moved).isGreaterThan(layers / 2);
        assertThat(joint || integers > layers / 3).isTrue();
    }

    private static void add(Measurement measurement, Device device, Case c, boolean joint) {
        for (int b = 0; b < c.data().size(); b++) {
            try (Tensor q = device.upload(c.data().get(b));
                    Tensor f = device.upload(c.references().get(b))) {
                measurement.add(joint ? Role.INPUTS : Role.INPUT, joint ? List.of(f, q) : List.of(q), b, SAMPLES);
            }
        }
    }

    private static WeightChoice choose(Device device, Case c) {
        double[] zeros = new double[c.layer().op().channels(c.layer().weights())];
        try (Measurement measurement = TestMeasurements.of(device, c.weights(), zeros, zeros, Method.UNFOLDED, false)) {
            add(measurement, device, c, false);
            return measurement.choose(c.grid(), Optional.empty(), Parallel.NONE);
        }
    }

    private static WeightChoice check(Device device, Case c, boolean joint) {
        int channels = c.layer().op().channels(c.layer().weights());
        double[] zeros = new double[channels];
        try (Measurement measurement = TestMeasurements.of(device, c.weights(), zeros, zeros, Method.UNFOLDED, joint)) {
            add(measurement, device, c, joint);
            WeightChoice choice = measurement.choose(c.grid(), Optional.empty(), Parallel.NONE);
            measurement.solve();
            Moments moments = measurement.read(false);
            double[][] before = errors(c, c.grid().weights(c.grid().multiples()));
            double[][] after = errors(c, c.grid().weights(choice.multiples()));
            double mseBefore = 0;
            double mseWithBias = 0;
            double mseAfter = 0;
            double power = moments.measured().signalPower();
            for (int m = 0; m < channels; m++) {
                if (!joint) {
                    assertThat(after[1][m])
                            .as("%s, channel %d", c.layer(), m)
                            .isLessThanOrEqualTo(before[1][m] * (1 + 1e-9) + 1e-12 * power);
                }
                mseBefore += (before[1][m] + before[0][m] * before[0][m]) / channels;
                mseWithBias += before[1][m] / channels;
                mseAfter += after[1][m] / channels;
                assertThat((double) moments.delta()[m]).isCloseTo(after[0][m], within(1e-5 * Math.sqrt(power) + 1e-9));
            }
            double bound = 2e-5 * power + 1e-12;
            assertThat(moments.measured().mseBefore()).isCloseTo(mseBefore, within(bound));
            assertThat(moments.measured().mseAfter()).isCloseTo(mseAfter, within(bound));
            assertThat(choice.mseWithBias()).isCloseTo(mseWithBias, within(bound));
            assertThat(mseAfter).isLessThanOrEqualTo(mseWithBias * (1 + 1e-6) + bound);
            for (int i = 0; i < choice.multiples().length; i++) {
                assertThat(choice.multiples()[i])
                        .isBetween(c.grid().lowest(i), c.grid().highest(i));
            }
            return choice;
        }
    }
}
