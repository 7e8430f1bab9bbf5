package dev.rebias.op;

import ai.onnx.proto.OnnxMl.NodeProto;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Elementwise operations that a device may make in one pass over memory. Values are numbered: first the group's
 * operands, then the members' outputs in order; a member uses only values before it.
 *
 * @param operands how many operands the group has
 * @param members the operations, in order
 * @param outputs the numbers of the values that are the group's outputs
 * @param computed whether it works on what follows from a layer's output, whose last bit depends on who computes it: a
 *     device's quantisers may then round the quotient that a float holds, as ONNX Runtime's do; others round the exact
 *     quotient
 */
public record ElementwiseGroup(int operands, List<Member> members, List<Integer> outputs, boolean computed)
        implements Op {
    static final Set<String> TYPES = Set.of(
            "Abs",
            "Add",
            "BatchNormalization",
            "Ceil",
            "Clip",
            "DequantizeLinear",
            "Div",
            "Elu",
            "Erf",
            "Exp",
            "Floor",
            "HardSigmoid",
            "HardSwish",
            "LeakyRelu",
            "Log",
            "Max",
            "Min",
            "Mul",
            "Neg",
            "PRelu",
            "Pow",
            "QuantizeLinear",
            "Reciprocal",
            "Relu",
            "Round",
            "Sigmoid",
            "Softplus",
            "Softsign",
            "Sqrt",
            "Sub",
            "Sum",
            "Tanh");

    public ElementwiseGroup {
        members = List.copyOf(members);
        outputs = List.copyOf(outputs);
    }

    /** A group of anything. */
    public ElementwiseGroup(int operands, List<Member> members, List<Integer> outputs) {
        this(operands, members, outputs, false);
    }

    /**
     * One operation of a group.
     *
     * @param op the operation; it has one output
     * @param inputs for each of its inputs the number of the value, or {@link #ABSENT}
     */
    public record Member(OnnxOp op, List<Integer> inputs) {
        /** An optional input that the operation does without. */
        public static final int ABSENT = -1;

        public Member {
            inputs = List.copyOf(inputs);
        }
    }

    /**
     * Whether an operation may be a member: of ONNX's own domain, with one output whose every element follows from one
     * element of each input.
     */
    public static boolean admits(OnnxOp op) {
        NodeProto node = op.node();
        return op.standard()
                && TYPES.contains(node.getOpType())
                && node.getOutputCount() == 1
                && op.captures().isEmpty();
    }

    @Override
    public String type() {
        return members.stream().map(m -> m.op().type()).collect(Collectors.joining("+"));
    }
}
