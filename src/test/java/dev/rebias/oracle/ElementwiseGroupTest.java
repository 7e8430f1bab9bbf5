package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.device.Device;
import dev.rebias.device.Devices;
import dev.rebias.device.Emulator;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.device.TestDevices;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.ElementwiseGroup.Member;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.TestOps;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.function.DoubleBinaryOperator;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Groups of elementwise operations, as sweeps have them behind layers, compute what their members compute one after the
 * other in double precision.
 */
@Tag("cuda")
final class ElementwiseGroupTest {
    private static final int GROUPS = 500;
    /** Each is a kernel to be compiled. */
    private static final int GROUPS_ON_CUDA = 20;
    /** Of the largest value. */
    private static final double TOLERANCE = 1e-5;

    private static Stream<String> devices() {
        return TestDevices.names().stream();
    }

    private static int groups(String device) {
        return device.equals("cpu") ? GROUPS : GROUPS_ON_CUDA;
    }

    /** A group in the making, and what it should give. */
    private static final class Draft {
        private final Random random;
        private final int[] shape;
        private final List<Operand> operands = new ArrayList<>();
        private final List<HostTensor> variables = new ArrayList<>();
        private final List<OnnxOp> ops = new ArrayList<>();
        /** For each member its inputs: operands from 0, members from -2 downwards. */
        private final List<List<Integer>> inputs = new ArrayList<>();

        private double[] values;
        private int current;

        Draft(Random random, int... shape) {
            this.random = random;
            this.shape = shape;
            HostTensor x = random(shape);
            values = doubles(x);
            current = variable(x);
        }

        private HostTensor random(int... of) {
            float[] floats = new float[(int) Shape.elements(longs(of))];
            for (int i = 0; i < floats.length; i++) {
                floats[i] = (float) (3 * random.nextGaussian());
            }
            return HostTensor.of(floats, longs(of));
        }

        private int variable(HostTensor value) {
            variables.add(value);
            operands.add(new Operand.Variable());
            return operands.size() - 1;
        }

        private int constant(HostTensor value) {
            operands.add(new Operand.Constant(value));
            return operands.size() - 1;
        }

        private int scalar(float value) {
            return constant(HostTensor.of(new float[] {value}));
        }

        private void member(OnnxOp op, Integer... of) {
            NodeProto.Builder node = op.node().toBuilder();
            for (int i = 0; i < of.length; i++) {
                node.addInput("x" + i);
            }
            ops.add(new OnnxOp(node.build(), op.captures(), op.opsets()));
            inputs.add(List.of(of));
            current = -1 - ops.size();
        }

        private void map(DoubleUnaryOperator f) {
            values = Arrays.stream(values).map(f).toArray();
        }

        /**
         * Something beside the value so far: a number, one value per channel or per sample and channel, or all of them.
         */
        private void binary(String type, DoubleBinaryOperator f) {
            int[] of =
                    switch (random.nextInt(12)) {
                        case 0, 1 -> new int[] {1};
                        case 2, 3 -> new int[] {shape[1], 1, 1};
                        case 4, 5 -> new int[] {1, shape[1], 1, 1};
                        case 6 -> new int[] {shape[0], shape[1], 1, 1};
                        case 7 -> new int[] {shape[0], 1, 1, 1};
                        case 8 -> new int[] {shape[1], shape[2], shape[3]};
                        case 9 -> new int[] {1, shape[1], shape[2], shape[3]};
                        default -> shape;
                    };
            // What is the same for all samples is a constant, but for a corrected bias; what has no samples may be
            // anything.
            boolean fixed =
                    switch (of.length) {
                        case 1 -> true;
                        case 3 -> random.nextBoolean();
                        default -> of != shape && of[0] == 1 && of[2] * of[3] > 1;
                    };
            HostTensor other = random(of);
            double[] o = doubles(other);
            boolean first = random.nextBoolean();
            for (int i = 0; i < values.length; i++) {
                double v = o[broadcast(i, of)];
                values[i] = first ? f.applyAsDouble(values[i], v) : f.applyAsDouble(v, values[i]);
            }
            int operand = fixed ? constant(other) : variable(other);
            if (first) {
                member(TestOps.node(type), current, operand);
            } else {
                member(TestOps.node(type), operand, current);
            }
        }

        /**
         * Where a tensor of that shape, lined up with the data's last dimensions, has what belongs to the data's
         * element i.
         */
        private int broadcast(int i, int[] of) {
            int at = 0;
            int stride = 1;
            int rest = i;
            for (int d = 1; d <= of.length; d++) {
                int length = of[of.length - d];
                int extent = shape[shape.length - d];
                at += rest % extent % length * stride;
                stride *= length;
                rest /= extent;
            }
            return at;
        }

        private void normalize() {
            int channels = shape[1];
            HostTensor[] p = {random(channels), random(channels), random(channels), random(channels)};
            for (int c = 0; c < channels; c++) {
                p[3].floats().put(c, Math.abs(p[3].floats().get(c)) + 0.5f);
            }
            int area = shape[2] * shape[3];
            for (int i = 0; i < values.length; i++) {
                int c = i / area % channels;
                values[i] = (values[i] - p[2].floats().get(c))
                                / Math.sqrt(p[3].floats().get(c) + 1e-5)
                                * p[0].floats().get(c)
                        + p[1].floats().get(c);
            }
            int x = current;
            member(
                    TestOps.node("BatchNormalization"),
                    x,
                    constant(p[0]),
                    constant(p[1]),
                    constant(p[2]),
                    constant(p[3]));
        }

        /** x clip(x + 3, 0, 6) / 6, as exporters write it. */
        private void hardSwish() {
            int x = current;
            map(v -> v * Math.max(0, Math.min(6, v + 3)) / 6);
            switch (random.nextInt(3)) {
                case 0 -> {
                    member(TestOps.node("HardSigmoid", attribute("alpha", 1f / 6), attribute("beta", 0.5f)), x);
                    member(TestOps.node("Mul"), current, x);
                }
                case 1 -> {
                    clipped(x);
                    member(TestOps.node("Mul"), x, current);
                    member(TestOps.node("Div"), current, scalar(6));
                }
                default -> {
                    clipped(x);
                    member(TestOps.node("Div"), current, scalar(6));
                    member(TestOps.node("Mul"), x, current);
                }
            }
        }

        private void clipped(int x) {
            member(TestOps.node("Add"), x, scalar(3));
            member(TestOps.node("Clip"), current, scalar(0), scalar(6));
        }

        void grow() {
            int x = current;
            switch (random.nextInt(14)) {
                case 0, 1, 2 -> binary("Add", Double::sum);
                case 3 -> binary("Mul", (a, b) -> a * b);
                case 4 -> binary("Sub", (a, b) -> a - b);
                case 5 -> binary("Max", Math::max);
                case 6 -> binary("Min", Math::min);
                case 12 -> normalize();
                case 7 -> hardSwish();
                case 8 -> {
                    map(v -> Math.max(v, 0));
                    member(TestOps.node("Relu"), x);
                }
                case 9 -> {
                    // All of it becomes the upper bound where that is below the lower one.
                    float upper = random.nextInt(4) == 0 ? -2.5f : 2.5f;
                    map(v -> Math.min(Math.max(-1.5, v), upper));
                    member(TestOps.node("Clip"), x, scalar(-1.5f), scalar(upper));
                }
                case 10 -> {
                    map(v -> v < 0 ? 0.25 * v : v);
                    member(TestOps.node("LeakyRelu", attribute("alpha", 0.25f)), x);
                }
                case 11 -> {
                    map(v -> Math.max(0, Math.min(1, 0.2f * v + 0.5)));
                    member(TestOps.node("HardSigmoid"), x);
                }
                default -> {
                    map(Math::abs);
                    member(TestOps.node("Abs"), x);
                }
            }
        }

        ElementwiseGroup group(boolean computed) {
            int n = operands.size();
            List<Member> members = new ArrayList<>();
            for (int m = 0; m < ops.size(); m++) {
                members.add(new Member(
                        ops.get(m),
                        inputs.get(m).stream().map(i -> i < 0 ? n - 2 - i : i).toList()));
            }
            return new ElementwiseGroup(n, members, List.of(n + ops.size() - 1), computed);
        }
    }

    private static long[] longs(int... of) {
        return Arrays.stream(of).asLongStream().toArray();
    }

    private static double[] doubles(HostTensor t) {
        double[] out = new double[(int) t.elements()];
        for (int i = 0; i < out.length; i++) {
            out[i] = switch (t.type()) {
                case FLOAT -> t.floats().get(i);
                case UINT8 -> Byte.toUnsignedInt(t.bytes().get(i));
                default -> t.bytes().get(i);
            };
        }
        return out;
    }

    private static AttributeProto attribute(String name, float value) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeProto.AttributeType.FLOAT)
                .setF(value)
                .build();
    }

    /** Runs a group on data that lie as a layer leaves its output: through a depthwise layer with the weights 1. */
    private static HostTensor run(Device device, ElementwiseGroup group, Draft draft) {
        long channels = draft.shape[1];
        float[] ones = new float[draft.shape[1]];
        Arrays.fill(ones, 1);
        RandomLayer copy = RandomLayer.convolution(
                channels,
                new long[] {1, 1},
                new long[] {1, 1},
                new long[] {0, 0, 0, 0},
                new long[] {channels, 1, 1, 1},
                longs(draft.shape));
        List<Tensor> made = new ArrayList<>();
        try (PreparedOp layer = device.prepare(
                        copy.op(),
                        List.of(
                                new Operand.Variable(),
                                new Operand.Constant(HostTensor.of(ones, channels, 1, 1, 1)),
                                new Operand.Absent()));
                PreparedOp prepared = device.prepare(group, draft.operands)) {
            for (HostTensor variable : draft.variables) {
                Tensor uploaded = device.upload(variable);
                made.add(uploaded);
                if (Arrays.equals(variable.shape(), longs(draft.shape))) {
                    made.set(made.size() - 1, layer.run(List.of(uploaded)).get(0));
                    uploaded.close();
                }
            }
            try (Tensor y = prepared.run(made).get(0)) {
                return device.download(y);
            }
        } finally {
            made.forEach(Tensor::close);
        }
    }

    private static Device open(String name) {
        return Devices.open(name).device();
    }

    private static Draft draft(Random random) {
        // From single values to more than are worked on at once.
        int side = 1 + random.nextInt(List.of(4, 30, 60).get(random.nextInt(3)));
        int samples = 1 + random.nextInt(3);
        Draft draft = random.nextInt(10) == 0
                ? new Draft(random, samples, 2500, 1, 1)
                : new Draft(random, samples, List.of(1, 5, 8, 24).get(random.nextInt(4)), side, 1 + random.nextInt(40));
        int members = 1 + random.nextInt(5);
        for (int i = 0; i < members; i++) {
            draft.grow();
        }
        return draft;
    }

    @ParameterizedTest
    @MethodSource("devices")
    void theyComputeWhatTheirMembersCompute(String name) {
        Random random = new Random(5);
        double worst = 0;
        try (Device device = open(name)) {
            for (int done = 0; done < groups(name); done++) {
                Draft draft = draft(random);
                double largest = Math.max(
                        1, Arrays.stream(draft.values).map(Math::abs).max().orElse(0));
                double[] expected = draft.values;
                Optional<float[]> quantizer = random.nextBoolean()
                        ? Optional.of(new float[] {(float) (largest / 150), random.nextInt(100)})
                        : Optional.empty();
                ElementType type = random.nextBoolean() ? ElementType.UINT8 : ElementType.INT8;
                quantizer.ifPresent(q -> draft.member(
                        TestOps.node("QuantizeLinear"),
                        draft.current,
                        draft.scalar(q[0]),
                        draft.constant(HostTensor.ofByte(type, (int) q[1]))));
                ElementwiseGroup group = draft.group(random.nextBoolean());
                double[] actual = doubles(run(device, group, draft));
                assertThat(actual).hasSameSizeAs(expected);
                for (int i = 0; i < actual.length; i++) {
                    double apart = quantizer.isEmpty()
                            ? Math.abs(actual[i] - expected[i]) / largest
                            : steps(actual[i], expected[i], type, quantizer.get(), largest);
                    assertThat(apart)
                            .as("%s on %s, element %d: %s", group, Arrays.toString(draft.shape), i, actual[i])
                            .isLessThanOrEqualTo(TOLERANCE);
                    worst = Math.max(worst, apart);
                }
            }
        }
        if (Emulator.present()) {
            assertThat(Emulator.require().violation()).isEmpty();
            assertThat(Emulator.require().live()).isEmpty();
        }
        System.out.printf(
                "%s: %d groups, the worst at %.1f %% of the bound%n", name, groups(name), 100 * worst / TOLERANCE);
    }

    /** By how much a value must have been off to be quantised like that, of the largest. */
    private static double steps(double actual, double expected, ElementType type, float[] quantizer, double largest) {
        double low = type == ElementType.UINT8 ? 0 : Byte.MIN_VALUE;
        double high = type == ElementType.UINT8 ? 255 : Byte.MAX_VALUE;
        double quotient = Math.max(low, Math.min(high, expected / quantizer[0] + quantizer[1]));
        return Math.max(0, Math.abs(actual - quotient) - 0.5) * quantizer[0] / largest;
    }

    /** Batches may be of any size. */
    @ParameterizedTest
    @MethodSource("devices")
    void aSampleGivesTheSameBitsAlone(String name) {
        Random random = new Random(6);
        try (Device device = open(name)) {
            for (int done = 0; done < groups(name) / 3; done++) {
                Draft draft = draft(random);
                ElementwiseGroup group = draft.group(true);
                double[] together = doubles(run(device, group, draft));
                int row = together.length / draft.shape[0];
                for (int n = 0; n < draft.shape[0]; n++) {
                    double[] own = doubles(run(device, group, sample(draft, n)));
                    assertThat(own)
                            .as("%s on %s", group, Arrays.toString(draft.shape))
                            .isEqualTo(Arrays.copyOfRange(together, n * row, (n + 1) * row));
                }
            }
        }
    }

    /** The same operations on one sample. */
    private static Draft sample(Draft draft, int n) {
        int[] shape = draft.shape.clone();
        shape[0] = 1;
        Draft one = new Draft(draft.random, shape);
        one.operands.clear();
        one.operands.addAll(draft.operands);
        one.variables.clear();
        for (HostTensor variable : draft.variables) {
            long[] of = variable.shape();
            if (of.length < draft.shape.length) {
                one.variables.add(variable);
                continue;
            }
            int size = (int) (variable.elements() / of[0]);
            int first = of[0] == draft.shape[0] ? n * size : 0;
            float[] values = new float[size];
            variable.floats().get(first, values);
            of[0] = 1;
            one.variables.add(HostTensor.of(values, of));
        }
        return one;
    }

    /** A quantiser behind a layer may round the quotient that a float holds, as ONNX Runtime does; no other. */
    @ParameterizedTest
    @MethodSource("devices")
    void behindLayersQuotientsMayBeOfFloats(String name) {
        Random random = new Random(7);
        int different = 0;
        try (Device device = open(name)) {
            for (boolean computed : new boolean[] {true, false}) {
                Draft draft = new Draft(random, 1, 8, 40, 40);
                float scale = 0.0123f;
                HostTensor x = draft.variables.get(0);
                for (int i = 0; i < x.elements(); i++) {
                    float tie = (float) ((i % 500 - 250 + 0.5) * scale);
                    x.floats()
                            .put(
                                    i,
                                    i % 3 == 0
                                            ? tie
                                            : i % 3 == 1 ? Math.nextUp(tie) : Math.nextDown(Math.nextDown(tie)));
                }
                draft.member(
                        TestOps.node("QuantizeLinear"),
                        draft.current,
                        draft.scalar(scale),
                        draft.constant(HostTensor.ofByte(ElementType.INT8, 3)));
                double[] actual = doubles(run(device, draft.group(computed), draft));
                for (int i = 0; i < actual.length; i++) {
                    float v = x.floats().get(i);
                    double exact = saturated(Math.rint((double) v / scale) + 3);
                    double ofFloats = saturated(Math.rint(v / scale) + 3);
                    assertThat(actual[i]).isIn(computed ? List.of(exact, ofFloats) : List.of(exact));
                    different += exact == ofFloats ? 0 : 1;
                }
            }
        }
        assertThat(different).as("values for which it matters").isPositive();
    }

    private static double saturated(double value) {
        return Math.max(Byte.MIN_VALUE, Math.min(Byte.MAX_VALUE, value));
    }
}
