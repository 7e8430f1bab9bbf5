package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import dev.rebias.device.Device;
import dev.rebias.device.Devices;
import dev.rebias.device.Emulator;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.device.TestDevices;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.ElementwiseGroup.Member;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerGroup;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.Op;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Convolutions of bytes and of floats with what follows them, made as one, compute what both compute in double
 * precision.
 */
@Tag("cuda")
final class LayerGroupTest {
    private static final int LAYERS = 300;
    /** Each group is a kernel to be compiled. */
    private static final int LAYERS_ON_CUDA = 12;
    /** Of the largest value. */
    private static final double TOLERANCE = 1e-5;
    /** Of a step: so close to the middle between two either will do. */
    private static final double MIDDLE = 1e-3;

    private static final int SAMPLES = 3;

    private static Stream<String> devices() {
        return TestDevices.names().stream();
    }

    /** What comes behind the layer: operand 0 is its output. */
    private static final class Behind {
        private final Random random;
        private final int[] shape;
        private final List<Operand> operands = new ArrayList<>();
        private final List<HostTensor> variables = new ArrayList<>();
        private final List<Member> members = new ArrayList<>();
        private final double[] values;

        Behind(Random random, NaiveTensor output, float[] scale) {
            this.random = random;
            this.shape = output.shape();
            this.values = output.values().clone();
            operands.add(new Operand.Variable());
            for (int i = 0; i < values.length; i++) {
                values[i] *= scale[channel(i)];
            }
        }

        private int channel(int i) {
            return i / (shape[2] * shape[3]) % shape[1];
        }

        private HostTensor random(long... of) {
            HostTensor t = HostTensor.zeros(ElementType.FLOAT, of);
            for (int i = 0; i < t.elements(); i++) {
                t.floats().put(i, (float) (2 * random.nextGaussian()));
            }
            return t;
        }

        /** Operands' numbers are not known before all are there: members are -1 and downwards until then. */
        private int last() {
            return members.isEmpty() ? 0 : -members.size();
        }

        private void member(NodeProto node, Integer... others) {
            NodeProto.Builder made = node.toBuilder().addInput("x");
            List<Integer> inputs = new ArrayList<>(List.of(last()));
            for (int other : others) {
                made.addInput("o" + inputs.size());
                inputs.add(other);
            }
            OperatorSetIdProto opset =
                    OperatorSetIdProto.newBuilder().setVersion(15).build();
            members.add(new Member(new OnnxOp(made.addOutput("y").build(), List.of(), List.of(opset)), inputs));
        }

        private int constant(HostTensor value) {
            operands.add(new Operand.Constant(value));
            return operands.size() - 1;
        }

        private int variable(HostTensor value) {
            operands.add(new Operand.Variable());
            variables.add(value);
            return operands.size() - 1;
        }

        private void map(DoubleUnaryOperator f) {
            Arrays.setAll(values, i -> f.applyAsDouble(values[i]));
        }

        /**
         * A corrected bias; a branch, or a value for every sample and channel, which no primitive's end has room for.
         */
        void add() {
            long n = shape[0];
            long c = shape[1];
            HostTensor other =
                    switch (random.nextInt(8)) {
                        case 0 -> random(n, c, shape[2], shape[3]);
                        case 1 -> random(n, c, 1, 1);
                        default -> random(c, 1, 1);
                    };
            long each = other.elements() / (other.shape().length == 3 ? c : n * c);
            for (int i = 0; i < values.length; i++) {
                int position = each == 1 ? 0 : i % (shape[2] * shape[3]);
                int row = other.shape().length == 3 ? channel(i) : i / (shape[2] * shape[3]);
                values[i] += other.floats().get(Math.toIntExact(row * each + position));
            }
            member(node("Add"), variable(other));
        }

        void activate() {
            switch (random.nextInt(6)) {
                case 0 -> {
                    member(node("Relu"));
                    map(v -> Math.max(v, 0));
                }
                case 1 -> {
                    member(node("HardSwish"));
                    map(v -> v * Math.max(0, Math.min(1, v / 6 + 0.5)));
                }
                case 2 -> {
                    member(node("Clip"), number(-1), number(4));
                    map(v -> Math.max(-1, Math.min(4, v)));
                }
                case 3 -> {
                    member(node("LeakyRelu"));
                    map(v -> v < 0 ? (double) 0.01f * v : v);
                }
                case 4 -> {
                    float[] factors = new float[shape[1]];
                    for (int c = 0; c < factors.length; c++) {
                        factors[c] = 0.5f + random.nextFloat();
                    }
                    member(node("Mul"), constant(HostTensor.of(factors, 1, shape[1], 1, 1)));
                    for (int i = 0; i < values.length; i++) {
                        values[i] *= factors[channel(i)];
                    }
                }
                default -> {
                    // None.
                }
            }
        }

        /** A value for every channel. */
        void shift() {
            HostTensor by = random(shape[1], 1, 1);
            member(node("Add"), constant(by));
            for (int i = 0; i < values.length; i++) {
                values[i] += by.floats().get(channel(i));
            }
        }

        private int number(float value) {
            return constant(HostTensor.of(new float[] {value}));
        }

        /** Gives the size of a step. */
        float quantize(ElementType type, int zero) {
            float step = 0.03f + random.nextFloat() / 20;
            HostTensor z = HostTensor.ofByte(type, zero);
            member(node("QuantizeLinear"), number(step), constant(z));
            map(v -> v / step);
            return step;
        }

        ElementwiseGroup group() {
            List<Member> numbered = members.stream()
                    .map(m -> new Member(
                            m.op(),
                            m.inputs().stream()
                                    .map(i -> i < 0 ? operands.size() - 1 - i : i)
                                    .toList()))
                    .toList();
            return new ElementwiseGroup(
                    operands.size(), numbered, List.of(operands.size() + numbered.size() - 1), true);
        }
    }

    private static NodeProto node(String type, AttributeProto... attributes) {
        return NodeProto.newBuilder()
                .setOpType(type)
                .addAllAttribute(Arrays.asList(attributes))
                .build();
    }

    @ParameterizedTest
    @MethodSource("devices")
    void areWhatBothCompute(String name) {
        Random random = new Random(11);
        double worst = 0;
        try (Device device = Devices.open(name).device()) {
            for (int i = 0; i < (name.equals("cpu") ? LAYERS : LAYERS_ON_CUDA); i++) {
                worst = Math.max(worst, check(device, random));
            }
        }
        System.out.printf("%s: layers with what follows, the worst at %.1f %% of the bound%n", name, 100 * worst);
        assertThat(worst).isLessThanOrEqualTo(1);
        if (Emulator.present()) {
            assertThat(Emulator.require().violation()).isEmpty();
        }
    }

    /** Large enough for oneDNN. */
    private static RandomLayer layer(Random random) {
        long[] strides = {1L + random.nextInt(2), 1L + random.nextInt(2)};
        long[] kernel = {1L + random.nextInt(3), 1L + random.nextInt(3)};
        long[] pads = {random.nextInt((int) kernel[0]), 0, 0, random.nextInt((int) kernel[1])};
        long group = random.nextInt(3) == 0 ? 2 : 1;
        long in = group * (2 + random.nextInt(20));
        long out = group * (2 + random.nextInt(40));
        if (random.nextInt(3) == 0) {
            group = in;
            out = in;
        }
        long[] data = {SAMPLES, in, 12 + random.nextInt(20), 12 + random.nextInt(20)};
        long[] weights = {out, in / group, kernel[0], kernel[1]};
        return RandomLayer.convolution(group, strides, new long[] {1, 1}, pads, weights, data);
    }

    /** How much of the bound the worst element takes. */
    private static double check(Device device, Random random) {
        RandomLayer layer = layer(random);
        // Bytes, floats that are whole numbers, or just floats.
        Optional<ElementType> integers =
                switch (random.nextInt(8)) {
                    case 0, 1 -> Optional.empty();
                    case 2 -> Optional.of(ElementType.FLOAT);
                    case 3, 4 -> Optional.of(ElementType.INT8);
                    default -> Optional.of(ElementType.UINT8);
                };
        ElementType type = integers.orElse(ElementType.FLOAT);
        int low = type == ElementType.UINT8 ? 0 : -128;
        int zero = type == ElementType.FLOAT || random.nextInt(3) == 0 ? 0 : low + random.nextInt(256);
        HostTensor data = HostTensor.zeros(type, layer.data());
        double[] values = new double[Math.toIntExact(data.elements())];
        for (int k = 0; k < values.length; k++) {
            int value = low + random.nextInt(256);
            if (type == ElementType.FLOAT) {
                data.floats().put(k, value);
            } else {
                data.bytes().put(k, (byte) value);
            }
            values[k] = value - zero;
        }
        HostTensor weights = HostTensor.zeros(ElementType.FLOAT, layer.weights());
        for (int k = 0; k < weights.elements(); k++) {
            weights.floats().put(k, integers.isEmpty() ? random.nextFloat() / 50 : random.nextInt(15) - 7);
        }
        float[] scale = new float[layer.op().channels(layer.weights())];
        for (int c = 0; c < scale.length; c++) {
            scale[c] = integers.isEmpty() ? 1 : 0.001f + random.nextFloat() / 200;
        }
        boolean biased = integers.isEmpty() && random.nextBoolean();
        HostTensor bias = HostTensor.zeros(ElementType.FLOAT, scale.length);
        for (int c = 0; c < scale.length && biased; c++) {
            bias.floats().put(c, random.nextFloat());
        }
        NaiveTensor output = NaiveLayers.run(
                layer.op().toNode("x", "w", biased ? "b" : "", "y"),
                new NaiveTensor(values, ints(layer.data())),
                new NaiveTensor(floats(weights), ints(layer.weights())),
                biased ? new NaiveTensor(floats(bias), new int[] {scale.length}) : null);
        Behind behind = new Behind(random, output, scale);
        behind.add();
        behind.activate();
        if (random.nextInt(4) == 0) {
            behind.shift();
        }
        ElementType result =
                switch (random.nextInt(4)) {
                    case 0 -> ElementType.FLOAT;
                    case 1 -> ElementType.INT8;
                    default -> ElementType.UINT8;
                };
        int resultZero = result == ElementType.INT8 ? random.nextInt(3) - 1 : random.nextInt(2) * 128;
        if (result != ElementType.FLOAT) {
            behind.quantize(result, resultZero);
        }
        List<Operand> operands = new ArrayList<>(behind.operands);
        operands.add(new Operand.Constant(weights));
        if (integers.isPresent()) {
            operands.add(new Operand.Constant(HostTensor.of(scale, scale.length)));
        } else {
            operands.add(biased ? new Operand.Constant(bias) : new Operand.Absent());
        }
        Op alone = integers.<Op>map(t -> new IntegerLayer(layer.op(), t, zero)).orElse(layer.op());
        LayerGroup op = new LayerGroup(alone, behind.group(), 0);
        HostTensor whole;
        HostTensor last;
        try (PreparedOp prepared = device.prepare(op, operands)) {
            whole = run(device, prepared, data, behind.variables, 0, SAMPLES);
            last = run(device, prepared, data, behind.variables, SAMPLES - 1, SAMPLES);
        }
        long own = last.bytes().capacity();
        assertThat(whole.bytes().slice((SAMPLES - 1) * (int) own, (int) own))
                .as("%s: one sample alone, and in a batch", op)
                .isEqualTo(last.bytes());
        double largest = Arrays.stream(behind.values).map(Math::abs).max().orElse(1);
        double worst = 0;
        for (int k = 0; k < behind.values.length; k++) {
            double expected = behind.values[k];
            if (result == ElementType.FLOAT) {
                worst = Math.max(worst, Math.abs(whole.floats().get(k) - expected) / largest / TOLERANCE);
                continue;
            }
            int lowest = result == ElementType.UINT8 ? 0 : -128;
            double exact = Math.max(lowest, Math.min(lowest + 255, expected + resultZero));
            int byteValue = result == ElementType.UINT8
                    ? Byte.toUnsignedInt(whole.bytes().get(k))
                    : whole.bytes().get(k);
            worst = Math.max(worst, (Math.abs(byteValue - exact) - 0.5) / MIDDLE);
        }
        return worst;
    }

    /** The output for samples [first, end). */
    private static HostTensor run(
            Device device, PreparedOp op, HostTensor data, List<HostTensor> others, int first, int end) {
        List<Tensor> variables = new ArrayList<>();
        try {
            variables.add(device.upload(part(data, first, end)));
            for (HostTensor other : others) {
                variables.add(device.upload(other.shape().length == 3 ? other : part(other, first, end)));
            }
            try (Tensor y = op.run(variables).get(0)) {
                return device.download(y);
            }
        } finally {
            variables.forEach(Tensor::close);
        }
    }

    static HostTensor part(HostTensor of, int first, int end) {
        long[] shape = of.shape().clone();
        int bytes = of.bytes().capacity() / (int) shape[0];
        shape[0] = (long) end - first;
        HostTensor part = HostTensor.zeros(of.type(), shape);
        part.bytes().put(0, of.bytes(), first * bytes, (end - first) * bytes);
        return part;
    }

    private static double[] floats(HostTensor t) {
        double[] values = new double[Math.toIntExact(t.elements())];
        Arrays.setAll(values, i -> t.floats().get(i));
        return values;
    }

    private static int[] ints(long[] shape) {
        return Arrays.stream(shape).mapToInt(Math::toIntExact).toArray();
    }
}
