package dev.rebias.device.cuda;

import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.device.Operand;
import dev.rebias.op.Attributes;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.ElementwiseGroup.Member;
import dev.rebias.op.OnnxOp;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * What a group of elementwise operations computes, as the lines of a kernel: one expression per member, over values, inputs and constants.
 *
 * @param inputs what is read from memory, in order
 * @param constants what is handed over as numbers, in order
 * @param lines one expression per member, with {@code {i}} for input i, {@code [j]} for constant j and {@code <k>} for member k's value
 * @param members for each member, the inputs and members whose shapes its own follows from
 * @param types each member's type of elements
 * @param outputs the members that are the group's outputs
 */
record ElementwiseProgram(
        List<Input> inputs,
        List<Float> constants,
        List<String> lines,
        List<Shapes> members,
        List<ElementType> types,
        List<Integer> outputs) {

    /**
     * Something read from memory: an operand of the group, or a vector worked out from constants.
     *
     * @param operand the group's operand, or -1
     * @param vector the vector, where it is none; else empty
     * @param axis how it lines up with the data: {@link #TRAILING} as broadcasting has it, or along the axis of that number alone
     * @param quantized whether it is of 8-bit integers, to be dequantised; else of floats
     */
    record Input(int operand, Optional<HostTensor> vector, int axis, boolean quantized) {
        static final int TRAILING = -1;
    }

    /** Which inputs and earlier members broadcast together to a member's shape. */
    record Shapes(List<Integer> inputs, List<Integer> members) {}

    private static final Map<String, String> UNARY = Map.ofEntries(
            Map.entry("Abs", "fabsf(%s)"),
            Map.entry("Ceil", "ceilf(%s)"),
            Map.entry("Erf", "erff(%s)"),
            Map.entry("Exp", "expf(%s)"),
            Map.entry("Floor", "floorf(%s)"),
            Map.entry("HardSwish", "hard_swish(%s)"),
            Map.entry("Log", "logf(%s)"),
            Map.entry("Neg", "-%s"),
            Map.entry("Reciprocal", "1.0f / %s"),
            Map.entry("Relu", "fmaxf(%s, 0.0f)"),
            Map.entry("Round", "rintf(%s)"),
            Map.entry("Sigmoid", "sigmoid(%s)"),
            Map.entry("Softplus", "softplus(%s)"),
            Map.entry("Softsign", "%1$s / (1.0f + fabsf(%1$s))"),
            Map.entry("Sqrt", "sqrtf(%s)"),
            Map.entry("Tanh", "tanhf(%s)"));

    private static final Map<String, String> BINARY = Map.of(
            "Add", "%s + %s",
            "Sub", "%s - %s",
            "Mul", "%s * %s",
            "Div", "%s / %s",
            "Pow", "powf(%s, %s)",
            "PRelu", "leaky_relu(%s, %s)");

    private static final Map<String, String> MANY =
            Map.of("Sum", "%s + %s", "Max", "fmaxf(%s, %s)", "Min", "fminf(%s, %s)");

    /** The lowering of a group; empty if one of its members is nothing for a kernel. */
    static Optional<ElementwiseProgram> of(ElementwiseGroup group, List<Operand> operands) {
        Builder builder = new Builder(group, operands);
        for (Member member : group.members()) {
            if (!builder.add(member)) {
                return Optional.empty();
            }
        }
        return Optional.of(new ElementwiseProgram(
                builder.inputs,
                builder.constants,
                builder.lines,
                builder.members,
                builder.types,
                group.outputs().stream().map(o -> o - group.operands()).toList()));
    }

    private static final class Builder {
        private final int operandCount;
        private final List<Operand> operands;
        private final List<Input> inputs = new ArrayList<>();
        private final List<Float> constants = new ArrayList<>();
        private final List<String> lines = new ArrayList<>();
        private final List<Shapes> members = new ArrayList<>();
        private final List<ElementType> types = new ArrayList<>();
        private final Map<Integer, Integer> inputOf = new HashMap<>();
        private List<Integer> shapeInputs = new ArrayList<>();
        private List<Integer> shapeMembers = new ArrayList<>();

        Builder(ElementwiseGroup group, List<Operand> operands) {
            this.operandCount = group.operands();
            this.operands = operands;
        }

        boolean add(Member member) {
            shapeInputs = new ArrayList<>();
            shapeMembers = new ArrayList<>();
            Optional<String> line = line(member);
            line.ifPresent(lines::add);
            members.add(new Shapes(shapeInputs, shapeMembers));
            return line.isPresent();
        }

        private Optional<String> line(Member member) {
            OnnxOp op = member.op();
            NodeProto node = op.node();
            String type = op.type();
            types.add(ElementType.FLOAT);
            if (type.equals("QuantizeLinear") || type.equals("DequantizeLinear")) {
                return quantizer(member, node, type.equals("QuantizeLinear"));
            }
            if (type.equals("BatchNormalization")) {
                return batchNormalization(member, node);
            }
            if (!member.inputs().stream().filter(v -> v != Member.ABSENT).allMatch(this::isFloat)) {
                return Optional.empty();
            }
            if (UNARY.containsKey(type)) {
                return Optional.of(String.format(UNARY.get(type), value(member, 0)));
            }
            if (BINARY.containsKey(type)) {
                return Optional.of(String.format(BINARY.get(type), value(member, 0), value(member, 1)));
            }
            if (MANY.containsKey(type)) {
                String all = value(member, 0);
                for (int i = 1; i < member.inputs().size(); i++) {
                    all = String.format(MANY.get(type), all, value(member, i));
                }
                return Optional.of(all);
            }
            String x = value(member, 0);
            return Optional.of(
                    switch (type) {
                        case "Clip" ->
                            "clip(" + x + ", " + bound(member, 1, node, "min", -Float.MAX_VALUE) + ", "
                                    + bound(member, 2, node, "max", Float.MAX_VALUE) + ")";
                        case "HardSigmoid" ->
                            "hard_sigmoid(" + x + ", " + attribute(node, "alpha", 0.2f) + ", "
                                    + attribute(node, "beta", 0.5f) + ")";
                        case "LeakyRelu" -> "leaky_relu(" + x + ", " + attribute(node, "alpha", 0.01f) + ")";
                        case "Elu" -> "elu(" + x + ", " + attribute(node, "alpha", 1f) + ")";
                        default ->
                            throw new IllegalStateException(type + " is admitted to groups but has no expression");
                    });
        }

        private String bound(Member member, int input, NodeProto node, String attribute, float otherwise) {
            boolean given = input < member.inputs().size() && member.inputs().get(input) != Member.ABSENT;
            return given ? value(member, input) : attribute(node, attribute, otherwise);
        }

        private String attribute(NodeProto node, String name, float otherwise) {
            return constant(Attributes.real(node, name, otherwise));
        }

        /** A value of the group: a member's, a constant's number, or what is read from memory. */
        private String value(Member member, int i) {
            return value(member, i, false);
        }

        private String value(Member member, int i, boolean quantized) {
            int v = member.inputs().get(i);
            if (v >= operandCount) {
                shapeMembers.add(v - operandCount);
                return "<" + (v - operandCount) + ">";
            }
            OptionalDouble scalar = scalar(v);
            if (scalar.isPresent()) {
                return constant((float) scalar.getAsDouble());
            }
            int input = inputOf.computeIfAbsent(v, k -> {
                inputs.add(new Input(v, Optional.empty(), Input.TRAILING, quantized));
                return inputs.size() - 1;
            });
            shapeInputs.add(input);
            return "{" + input + "}";
        }

        private String constant(float value) {
            constants.add(value);
            return "[" + (constants.size() - 1) + "]";
        }

        private String vector(double[] values, int axis) {
            float[] floats = new float[values.length];
            for (int i = 0; i < floats.length; i++) {
                floats[i] = (float) values[i];
            }
            inputs.add(new Input(-1, Optional.of(HostTensor.of(floats, floats.length)), axis, false));
            return "{" + (inputs.size() - 1) + "}";
        }

        private boolean isFloat(int value) {
            if (value >= operandCount) {
                return types.get(value - operandCount) == ElementType.FLOAT;
            }
            return !(operands.get(value) instanceof Operand.Constant c)
                    || c.value().type() == ElementType.FLOAT;
        }

        private Optional<HostTensor> constantOperand(Member member, int i) {
            int v = i < member.inputs().size() ? member.inputs().get(i) : Member.ABSENT;
            return v >= 0 && v < operandCount && operands.get(v) instanceof Operand.Constant c
                    ? Optional.of(c.value())
                    : Optional.empty();
        }

        /** A constant of one element: it broadcasts to anything of the same or a higher rank. */
        private OptionalDouble scalar(int value) {
            if (operands.get(value) instanceof Operand.Constant c
                    && c.value().elements() == 1
                    && c.value().type() == ElementType.FLOAT) {
                return OptionalDouble.of(c.value().floats().get(0));
            }
            return OptionalDouble.empty();
        }

        private Optional<String> quantizer(Member member, NodeProto node, boolean quantize) {
            Optional<HostTensor> scale = constantOperand(member, 1);
            Optional<HostTensor> zero = constantOperand(member, 2);
            boolean absent = member.inputs().size() < 3 || member.inputs().get(2) == Member.ABSENT;
            boolean usable = scale.isPresent()
                    && scale.get().type() == ElementType.FLOAT
                    && (zero.isPresent() || absent)
                    && zero.map(z -> CudaContext.onDevice(z.type()) && z.type() != ElementType.FLOAT)
                            .orElse(true)
                    && Attributes.integer(node, "block_size", 0) == 0
                    && Attributes.integer(node, "output_dtype", 0) == 0
                    && (!quantize || isFloat(member.inputs().get(0)));
            // What comes in to be dequantised must be something that was quantised to 8 bits; the device sees to that.
            if (!usable || (!quantize && constantOperand(member, 0).isPresent())) {
                return Optional.empty();
            }
            ElementType type = zero.map(HostTensor::type).orElse(ElementType.UINT8);
            String x = value(member, 0, !quantize);
            int axis = Math.toIntExact(Attributes.integer(node, "axis", 1));
            String s = perChannel(doubles(scale.get()), axis);
            String z = perChannel(zero.map(Builder::doubles).orElse(new double[] {0}), axis);
            if (!quantize) {
                return Optional.of("dequantize(" + x + ", " + s + ", " + z + ")");
            }
            types.set(types.size() - 1, type);
            boolean unsigned = type == ElementType.UINT8;
            return Optional.of(String.format(
                    Locale.ROOT, "quantize(%s, %s, %s, %s)", x, s, z, unsigned ? "0.0f, 255.0f" : "-128.0f, 127.0f"));
        }

        private String perChannel(double[] values, int axis) {
            return values.length == 1 ? constant((float) values[0]) : vector(values, axis);
        }

        private static double[] doubles(HostTensor t) {
            double[] out = new double[Math.toIntExact(t.elements())];
            for (int i = 0; i < out.length; i++) {
                out[i] = switch (t.type()) {
                    case FLOAT -> t.floats().get(i);
                    case UINT8 -> Byte.toUnsignedInt(t.bytes().get(i));
                    default -> t.bytes().get(i);
                };
            }
            return out;
        }

        /** y = (x - mean) / sqrt(variance + epsilon) * scale + bias, as x * a + b with one a and b per channel. */
        private Optional<String> batchNormalization(Member member, NodeProto node) {
            double[][] p = new double[4][];
            for (int i = 0; i < p.length; i++) {
                Optional<HostTensor> t = constantOperand(member, i + 1);
                if (t.isEmpty() || t.get().type() != ElementType.FLOAT) {
                    return Optional.empty();
                }
                p[i] = doubles(t.get());
            }
            if (Attributes.integer(node, "training_mode", 0) != 0
                    || Attributes.integer(node, "spatial", 1) == 0
                    || !isFloat(member.inputs().get(0))) {
                return Optional.empty();
            }
            double epsilon = Attributes.real(node, "epsilon", 1e-5f);
            double[] a = new double[p[0].length];
            double[] b = new double[a.length];
            for (int c = 0; c < a.length; c++) {
                a[c] = p[0][c] / Math.sqrt(p[3][c] + epsilon);
                b[c] = p[1][c] - p[2][c] * a[c];
            }
            String x = value(member, 0);
            return Optional.of(x + " * " + vector(a, 1) + " + " + vector(b, 1));
        }
    }
}
