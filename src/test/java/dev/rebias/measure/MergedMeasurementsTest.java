package dev.rebias.measure;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.device.Device;
import dev.rebias.device.Devices;
import dev.rebias.device.Method;
import dev.rebias.device.Tensor;
import dev.rebias.device.TestDevices;
import dev.rebias.device.WeightError;
import dev.rebias.op.TestOps;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Samples that are measured in parts, which are merged, give what measuring them all gives. */
@Tag("cuda")
final class MergedMeasurementsTest {
    private static final int IN = 3;
    private static final int OUT = 6;
    private static final int SAMPLES = 7;
    private static final Set<Method> GRAMS = EnumSet.of(Method.GRAM, Method.JOINT_GRAM);
    private static final Set<Method> ERRORS = EnumSet.of(Method.ERRORS, Method.ERRORS_OF_INPUT);

    /** A card makes no Gram matrices; only a card computes errors from inputs. */
    private static Stream<Arguments> cases() {
        return TestDevices.names().stream().flatMap(d -> Stream.of(
                        Arguments.of(d, Method.ERRORS, false),
                        Arguments.of(d, Method.ERRORS, true),
                        Arguments.of(d, Method.ERRORS_OF_INPUT, false),
                        Arguments.of(d, Method.ERRORS_OF_INPUT, true),
                        Arguments.of(d, Method.CLASS_SUMS, false),
                        Arguments.of(d, Method.CLASS_SUMS, true),
                        Arguments.of(d, Method.GRAM, false),
                        Arguments.of(d, Method.JOINT_GRAM, true))
                .filter(a -> d.equals("cpu") ? a.get()[1] != Method.ERRORS_OF_INPUT : !GRAMS.contains(a.get()[1])));
    }

    @ParameterizedTest
    @MethodSource("cases")
    void partsGiveWhatTheWholeGives(String name, Method method, boolean joint) throws IOException {
        Random random = new Random(3);
        double[] difference = random.doubles(IN * OUT, -0.1, 0.1).toArray();
        double[] reference = random.doubles(IN * OUT, -1, 1).toArray();
        WeightError weights = new WeightError(
                TestOps.pointwise(),
                new long[] {OUT, IN, 1, 1},
                difference,
                reference,
                Optional.of(ElementType.UINT8),
                0.5,
                4);
        double[] bias = random.doubles(OUT).toArray();
        double[] floatBias = random.doubles(OUT).toArray();
        HostTensor[][] samples = new HostTensor[SAMPLES][];
        for (int n = 0; n < SAMPLES; n++) {
            samples[n] = new HostTensor[] {
                floats(random, IN), bytes(random), floats(random, OUT), floats(random, OUT),
            };
        }
        try (Device device = Devices.open(name).device();
                Measurement whole = TestMeasurements.of(device, weights, bias, floatBias, method, joint);
                Measurement first = TestMeasurements.of(device, weights, bias, floatBias, method, joint);
                Measurement second = TestMeasurements.of(device, weights, bias, floatBias, method, joint);
                Measurement third = TestMeasurements.of(device, weights, bias, floatBias, method, joint)) {
            List<Measurement> parts = List.of(first, second, third);
            for (int n = 0; n < SAMPLES; n++) {
                add(device, whole, method, joint, samples[n], n);
                add(device, parts.get(n % 3), method, joint, samples[n], n);
            }
            List<byte[]> written =
                    parts.stream().map(MergedMeasurementsTest::written).toList();
            for (Measurement part : parts) {
                part.take(written.stream().map(MergedMeasurementsTest::stream).toList());
            }
            second.solve();
            whole.solve();
            first.solve();
            Moments expected = whole.read(true);
            Moments actual = first.read(true);
            assertThat(actual.samples()).isEqualTo(SAMPLES);
            assertThat(expected.maxAbsDelta()).isPositive();
            // A card's sums of floats are rounded once per batch, all others are exact.
            boolean ofFloats = ERRORS.contains(method) || (method == Method.CLASS_SUMS && joint);
            boolean exact = name.equals("cpu") || !ofFloats;
            for (int c = 0; c < OUT; c++) {
                float bound = exact ? 0 : 1e-6f;
                assertThat(Math.abs(actual.delta()[c] - expected.delta()[c])).isLessThanOrEqualTo(bound);
            }
            // Gram matrices stay where they are: what their products say is merged as variances.
            if (exact && !GRAMS.contains(method)) {
                assertThat(actual.errors()).isEqualTo(expected.errors());
            } else if (expected.errors().isPresent()) {
                // These two inputs have nothing in common: y_f's variance is what is left of others, a thousand times
                // larger, that are floats.
                assertNear(actual.measured(), expected.measured(), method == Method.JOINT_GRAM ? 1e-4 : 1e-6);
            }
            if (exact) {
                assertThat(text(actual)).isEqualTo(text(expected));
            }
            // Every part goes on with the same.
            assertThat(second.read(true).delta()).containsExactly(actual.delta());
            assertThat(second.read(true).errors()).isEqualTo(actual.errors());
            assertThat(text(second.read(true))).isEqualTo(text(actual));
        }
    }

    private static Optional<String> text(Moments moments) {
        return moments.perChannel().map(Moments.PerChannel::toString);
    }

    private static void assertNear(Moments.Errors actual, Moments.Errors expected, double relative) {
        Offset<Double> bound = Offset.offset(relative * expected.mseBefore());
        assertThat(actual.mseBefore()).isCloseTo(expected.mseBefore(), bound);
        assertThat(actual.mseAfter()).isCloseTo(expected.mseAfter(), bound);
        assertThat(actual.squaredBias()).isCloseTo(expected.squaredBias(), bound);
        assertThat(actual.signalPower())
                .isCloseTo(expected.signalPower(), Offset.offset(relative * expected.signalPower()));
    }

    private static byte[] written(Measurement part) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try {
            part.write(new DataOutputStream(bytes));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return bytes.toByteArray();
    }

    private static DataInputStream stream(byte[] bytes) {
        return new DataInputStream(new ByteArrayInputStream(bytes));
    }

    private static void add(
            Device device, Measurement to, Method method, boolean joint, HostTensor[] sample, int batch) {
        try (Tensor x = device.upload(sample[0]);
                Tensor q = device.upload(sample[1]);
                Tensor compared = device.upload(sample[2]);
                Tensor output = device.upload(sample[3])) {
            switch (method) {
                case ERRORS -> to.add(Role.OUTPUTS, List.of(compared, output), batch, 1);
                case ERRORS_OF_INPUT ->
                    to.add(
                            joint ? Role.OUTPUT_AND_INPUT : Role.INPUT,
                            joint ? List.of(compared, q) : List.of(q),
                            batch,
                            1);
                case JOINT_GRAM -> to.add(Role.INPUTS, List.of(x, q), batch, 1);
                case GRAM -> to.add(Role.INPUT, List.of(q), batch, 1);
                case UNFOLDED -> throw new IllegalArgumentException("weights are chosen before anything follows");
                case CLASS_SUMS -> {
                    to.add(Role.INPUT, List.of(q), batch, 1);
                    if (joint) {
                        to.add(Role.REFERENCE_INPUT, List.of(x), batch, 1);
                    }
                }
            }
        }
    }

    private static HostTensor floats(Random random, int channels) {
        HostTensor x = HostTensor.zeros(ElementType.FLOAT, 1, channels, 5, 4);
        for (int i = 0; i < x.elements(); i++) {
            x.floats().put(i, (float) random.nextGaussian());
        }
        return x;
    }

    private static HostTensor bytes(Random random) {
        HostTensor q = HostTensor.zeros(ElementType.UINT8, 1, IN, 5, 4);
        for (int i = 0; i < q.elements(); i++) {
            q.bytes().put(i, (byte) random.nextInt(256));
        }
        return q;
    }
}
