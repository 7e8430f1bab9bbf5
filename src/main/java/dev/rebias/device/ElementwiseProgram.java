package dev.rebias.device;

import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.op.Attributes;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.ElementwiseGroup.Member;
import dev.rebias.op.OnnxOp;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;

/**
 * What a group of elementwise operations computes, as a device can run it in one pass: over numbers, tensors read from
 * memory, and the results of members before. Works on FLOAT, UINT8 and INT8 only.
 *
 * @param inputs what is read from memory, in order
 * @param constants numbers, in order
 * @param instructions what the members do, in order; there may be fewer of them than members
 * @param outputs the instructions whose results are the group's outputs
 */
public record ElementwiseProgram(
        List<Input> inputs, List<Float> constants, List<Instruction> instructions, List<Integer> outputs) {

    /** What an instruction does with its arguments; the formulas are those of the ONNX operator specification. */
    public enum Code {
        ABS,
        CEIL,
        ERF,
        EXP,
        FLOOR,
        HARD_SWISH,
        LOG,
        NEG,
        RECIPROCAL,
        RELU,
        ROUND,
        SIGMOID,
        SOFTPLUS,
        SOFTSIGN,
        SQRT,
        TANH,
        ADD,
        SUB,
        MUL,
        DIV,
        POW,
        /** x, slope: x where it is not negative, else slope x. */
        PRELU,
        /** Of one or more values. */
        SUM,
        MAX,
        MIN,
        /** x, lower bound, upper bound. */
        CLIP,
        /** x, alpha, beta: max(0, min(1, alpha x + beta)). */
        HARD_SIGMOID,
        /** x, alpha: x where it is positive, else alpha (exp(x) - 1). */
        ELU,
        /** x, a, b: a x + b, as a BatchNormalization with constant statistics is one. */
        SCALE_SHIFT,
        /** x, scale, zero point: saturate(round(x / scale) + zero point), rounding half to even. */
        QUANTIZE,
        /** x, scale, zero point: (x - zero point) scale. */
        DEQUANTIZE
    }

    /**
     * What one member does.
     *
     * @param type of the elements that it makes
     */
    public record Instruction(Code code, List<Value> arguments, ElementType type) {
        public Instruction {
            arguments = List.copyOf(arguments);
        }
    }

    /** An argument of an instruction. */
    public record Value(Source source, int index) {
        /** Where a value comes from. */
        public enum Source {
            INPUT,
            CONSTANT,
            MEMBER
        }
    }

    /**
     * Something read from memory: an operand of the group, or a vector worked out from constants.
     *
     * @param operand the group's operand, or -1
     * @param vector the vector, where it is none; else empty
     * @param axis how it lines up with the data: {@link #TRAILING} as broadcasting has it, or along the axis of that
     *     number alone
     * @param quantized whether it is of 8-bit integers, to be dequantised; else of floats
     */
    public record Input(int operand, Optional<HostTensor> vector, int axis, boolean quantized) {
        public static final int TRAILING = -1;

        /**
         * The input's shape with as many dimensions as the data have, so that it lines up with them.
         *
         * @throws IllegalArgumentException if it does not fit the data
         */
        public long[] aligned(long[] shape, long[] data) {
            long[] aligned = new long[data.length];
            Arrays.fill(aligned, 1);
            if (axis == TRAILING) {
                System.arraycopy(shape, 0, aligned, data.length - shape.length, shape.length);
                return aligned;
            }
            int at = axis < 0 ? axis + data.length : axis;
            if (at >= data.length || data[at] != shape[0]) {
                throw new IllegalArgumentException("one value for each of " + shape[0] + " channels along axis " + axis
                        + " does not fit data of shape " + Shape.text(data));
            }
            aligned[at] = shape[0];
            return aligned;
        }
    }

    private static final Map<String, Code> SAME_ARGUMENTS = Map.ofEntries(
            Map.entry("Abs", Code.ABS),
            Map.entry("Ceil", Code.CEIL),
            Map.entry("Erf", Code.ERF),
            Map.entry("Exp", Code.EXP),
            Map.entry("Floor", Code.FLOOR),
            Map.entry("HardSwish", Code.HARD_SWISH),
            Map.entry("Log", Code.LOG),
            Map.entry("Neg", Code.NEG),
            Map.entry("Reciprocal", Code.RECIPROCAL),
            Map.entry("Relu", Code.RELU),
            Map.entry("Round", Code.ROUND),
            Map.entry("Sigmoid", Code.SIGMOID),
            Map.entry("Softplus", Code.SOFTPLUS),
            Map.entry("Softsign", Code.SOFTSIGN),
            Map.entry("Sqrt", Code.SQRT),
            Map.entry("Tanh", Code.TANH),
            Map.entry("Add", Code.ADD),
            Map.entry("Sub", Code.SUB),
            Map.entry("Mul", Code.MUL),
            Map.entry("Div", Code.DIV),
            Map.entry("Pow", Code.POW),
            Map.entry("PRelu", Code.PRELU),
            Map.entry("Sum", Code.SUM),
            Map.entry("Max", Code.MAX),
            Map.entry("Min", Code.MIN));

    private static final Set<ElementType> TYPES = Set.of(ElementType.FLOAT, ElementType.UINT8, ElementType.INT8);

    public ElementwiseProgram {
        inputs = List.copyOf(inputs);
        constants = List.copyOf(constants);
        instructions = List.copyOf(instructions);
        outputs = List.copyOf(outputs);
    }

    /** The lowering of a group; empty if one of its members is of other types, or has parameters that vary. */
    public static Optional<ElementwiseProgram> of(ElementwiseGroup group, List<Operand> operands) {
        Builder builder = new Builder(group, operands);
        for (Member member : group.members()) {
            Optional<Instruction> instruction = builder.instruction(member);
            if (instruction.isEmpty()) {
                return Optional.empty();
            }
            builder.instructions.add(instruction.get());
        }
        return Optional.of(Simplification.of(new ElementwiseProgram(
                builder.inputs,
                builder.constants,
                builder.instructions,
                group.outputs().stream().map(o -> o - group.operands()).toList())));
    }

    /**
     * The shape over which the program runs.
     *
     * @param shapes the inputs' shapes
     * @return empty if its outputs are not all of that shape
     */
    public Optional<long[]> shape(List<long[]> shapes) {
        List<long[]> members = new ArrayList<>();
        long[] total = {};
        for (Instruction instruction : instructions) {
            long[] shape = {};
            for (Value v : instruction.arguments()) {
                if (v.source() == Value.Source.MEMBER) {
                    shape = Shape.broadcast(shape, members.get(v.index()));
                } else if (v.source() == Value.Source.INPUT
                        && inputs.get(v.index()).operand() >= 0) {
                    shape = Shape.broadcast(shape, shapes.get(v.index()));
                }
            }
            members.add(shape);
            total = Shape.broadcast(total, shape);
        }
        for (int output : outputs) {
            if (!Arrays.equals(members.get(output), total)) {
                return Optional.empty();
            }
        }
        return Optional.of(total);
    }

    /** The types of the outputs' elements. */
    public List<ElementType> outputTypes() {
        return outputs.stream().map(o -> instructions.get(o).type()).toList();
    }

    private static final class Builder {
        private final int operandCount;
        private final List<Operand> operands;
        private final List<Input> inputs = new ArrayList<>();
        private final List<Float> constants = new ArrayList<>();
        private final List<Instruction> instructions = new ArrayList<>();
        private final Map<Integer, Integer> inputOf = new HashMap<>();

        Builder(ElementwiseGroup group, List<Operand> operands) {
            this.operandCount = group.operands();
            this.operands = operands;
        }

        Optional<Instruction> instruction(Member member) {
            OnnxOp op = member.op();
            NodeProto node = op.node();
            String type = op.type();
            if (type.equals("QuantizeLinear") || type.equals("DequantizeLinear")) {
                return quantizer(member, node, type.equals("QuantizeLinear"));
            }
            if (type.equals("BatchNormalization")) {
                return batchNormalization(member, node);
            }
            if (!member.inputs().stream().filter(v -> v != Member.ABSENT).allMatch(this::isFloat)) {
                return Optional.empty();
            }
            if (SAME_ARGUMENTS.containsKey(type)) {
                List<Value> all =
                        member.inputs().stream().map(v -> value(v, false)).toList();
                return floats(SAME_ARGUMENTS.get(type), all);
            }
            Value x = value(member.inputs().get(0), false);
            return switch (type) {
                case "Clip" ->
                    floats(
                            Code.CLIP,
                            List.of(
                                    x,
                                    bound(member, 1, node, "min", -Float.MAX_VALUE),
                                    bound(member, 2, node, "max", Float.MAX_VALUE)));
                case "HardSigmoid" ->
                    floats(
                            Code.HARD_SIGMOID,
                            List.of(x, attribute(node, "alpha", 0.2f), attribute(node, "beta", 0.5f)));
                case "LeakyRelu" -> floats(Code.PRELU, List.of(x, attribute(node, "alpha", 0.01f)));
                case "Elu" -> floats(Code.ELU, List.of(x, attribute(node, "alpha", 1f)));
                default -> throw new IllegalStateException(type + " is admitted to groups but has no instruction");
            };
        }

        private static Optional<Instruction> floats(Code code, List<Value> arguments) {
            return Optional.of(new Instruction(code, arguments, ElementType.FLOAT));
        }

        private Value bound(Member member, int input, NodeProto node, String attribute, float otherwise) {
            boolean given = input < member.inputs().size() && member.inputs().get(input) != Member.ABSENT;
            return given ? value(member.inputs().get(input), false) : attribute(node, attribute, otherwise);
        }

        private Value attribute(NodeProto node, String name, float otherwise) {
            return constant(Attributes.real(node, name, otherwise));
        }

        /** A value of the group: a member's, a constant's number, or what is read from memory. */
        private Value value(int v, boolean quantized) {
            if (v >= operandCount) {
                return new Value(Value.Source.MEMBER, v - operandCount);
            }
            OptionalDouble scalar = scalar(v);
            if (scalar.isPresent()) {
                return constant((float) scalar.getAsDouble());
            }
            int input = inputOf.computeIfAbsent(v, k -> {
                inputs.add(new Input(v, Optional.empty(), Input.TRAILING, quantized));
                return inputs.size() - 1;
            });
            return new Value(Value.Source.INPUT, input);
        }

        private Value constant(float value) {
            constants.add(value);
            return new Value(Value.Source.CONSTANT, constants.size() - 1);
        }

        private Value vector(double[] values, int axis) {
            float[] floats = new float[values.length];
            for (int i = 0; i < floats.length; i++) {
                floats[i] = (float) values[i];
            }
            inputs.add(new Input(-1, Optional.of(HostTensor.of(floats, floats.length)), axis, false));
            return new Value(Value.Source.INPUT, inputs.size() - 1);
        }

        private boolean isFloat(int value) {
            if (value >= operandCount) {
                return instructions.get(value - operandCount).type() == ElementType.FLOAT;
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

        private Optional<Instruction> quantizer(Member member, NodeProto node, boolean quantize) {
            Optional<HostTensor> scale = constantOperand(member, 1);
            Optional<HostTensor> zero = constantOperand(member, 2);
            boolean absent = member.inputs().size() < 3 || member.inputs().get(2) == Member.ABSENT;
            boolean usable = scale.isPresent()
                    && scale.get().type() == ElementType.FLOAT
                    && (zero.isPresent() || absent)
                    && zero.map(z -> TYPES.contains(z.type()) && z.type() != ElementType.FLOAT)
                            .orElse(true)
                    && Attributes.integer(node, "block_size", 0) == 0
                    && Attributes.integer(node, "output_dtype", 0) == 0
                    && (!quantize || isFloat(member.inputs().get(0)));
            // What comes in to be dequantised must be something that was quantised to 8 bits; the device sees to that.
            if (!usable || (!quantize && constantOperand(member, 0).isPresent())) {
                return Optional.empty();
            }
            ElementType type = zero.map(HostTensor::type).orElse(ElementType.UINT8);
            Value x = value(member.inputs().get(0), !quantize);
            int axis = Math.toIntExact(Attributes.integer(node, "axis", 1));
            Value s = perChannel(doubles(scale.get()), axis);
            Value z = perChannel(zero.map(Builder::doubles).orElse(new double[] {0}), axis);
            return Optional.of(
                    quantize
                            ? new Instruction(Code.QUANTIZE, List.of(x, s, z), type)
                            : new Instruction(Code.DEQUANTIZE, List.of(x, s, z), ElementType.FLOAT));
        }

        private Value perChannel(double[] values, int axis) {
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
        private Optional<Instruction> batchNormalization(Member member, NodeProto node) {
            double[][] p = new double[4][];
            for (int i = 0; i < p.length; i++) {
                Optional<HostTensor> t = constantOperand(member, i + 1);
                if (t.isEmpty()
                        || t.get().type() != ElementType.FLOAT
                        || t.get().elements()
                                != constantOperand(member, 1).orElseThrow().elements()) {
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
            Value x = value(member.inputs().get(0), false);
            return floats(Code.SCALE_SHIFT, List.of(x, vector(a, 1), vector(b, 1)));
        }
    }
}
