package dev.rebias.model;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.Attributes;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.ToIntFunction;

/**
 * Writes an operator of the QOperator format (QLinearConv, QLinearMatMul, QGemm) out as what it computes: dequantise
 * the data, a float op with dequantised weights and bias, quantise the result. The float op's output is the layer's
 * pre-activation. Where ONNX Runtime's optimiser has put the channels last (com.microsoft's QLinearConv), they are
 * brought first and back, as integers; the weights have them first all the same.
 */
final class QOperators {
    static final Set<String> TYPES = Set.of("QLinearConv", "QLinearMatMul", "QGemm");

    /**
     * com.microsoft's Add of two quantised tensors; written out where one is a constant, which may be a layer's bias.
     */
    static final String ADD = "QLinearAdd";

    /**
     * Input positions of the operator: data x, weights w and output y, each with scale and zero point behind it, and
     * the bias.
     */
    private record Slots(int x, int w, int y, int bias) {}

    private final NodeProto node;
    private final String prefix;
    private final List<NodeProto> nodes = new ArrayList<>();

    private QOperators(NodeProto node) {
        this.node = node;
        this.prefix = node.getOutput(0);
    }

    /** The input that holds the int32 bias; -1 where the operator has none. */
    static int biasInput(String type) {
        return slots(type).bias();
    }

    /** The input that holds the weights, their scale and zero point being the next. */
    static int weightInput(String type) {
        return slots(type).w();
    }

    /**
     * The input that holds the scale of a quantised output, its zero point being the next; -1 where the operator makes
     * no such output.
     */
    static int outputScale(String type) {
        return switch (type) {
            case "QuantizeLinear" -> 1;
            case "QLinearAdd", "QLinearMul" -> 6;
            default -> TYPES.contains(type) ? slots(type).y() : -1;
        };
    }

    private static Slots slots(String type) {
        return switch (type) {
            case "QLinearConv" -> new Slots(0, 3, 6, 8);
            case "QLinearMatMul" -> new Slots(0, 3, 6, -1);
            case "QGemm" -> new Slots(0, 3, 7, 6);
            default -> throw new IllegalArgumentException(type);
        };
    }

    /**
     * The nodes that compute the same as this one, in order; the last makes this one's output.
     *
     * @param rank gives the rank of a constant tensor, or -1 where it is not a constant; then the node is returned as
     *     it is
     */
    static List<NodeProto> lower(NodeProto node, ToIntFunction<String> rank) {
        Slots slots = slots(node.getOpType());
        int needed = Math.min(slots.y(), slots.bias() < 0 ? slots.y() : slots.bias());
        if (node.getInputCount() < needed) {
            throw new UnsupportedException("node '" + node.getName() + "' (" + node.getOpType() + ") has "
                    + node.getInputCount() + " inputs, it needs " + needed);
        }
        int weightRank = rank.applyAsInt(node.getInput(slots.w()));
        return weightRank < 2 ? List.of(node) : new QOperators(node).lower(slots, weightRank);
    }

    /** The position among a QLinearAdd's inputs of the first or second operand. */
    static int addOperand(int operand) {
        return 3 * operand;
    }

    /**
     * The nodes that compute the same as a QLinearAdd of a tensor and a constant; any other node is returned as it is.
     *
     * @param rank gives the rank of a constant tensor, or -1 where it is not a constant
     */
    static List<NodeProto> lowerAdd(NodeProto node, ToIntFunction<String> rank) {
        boolean first = rank.applyAsInt(node.getInput(0)) >= 0;
        boolean second = node.getInputCount() > 3 && rank.applyAsInt(node.getInput(3)) >= 0;
        return node.getInputCount() < 7 || first == second ? List.of(node) : new QOperators(node).lowerAdd();
    }

    private List<NodeProto> lowerAdd() {
        String a = add("DequantizeLinear", "a", quantised(0));
        String b = add("DequantizeLinear", "b", quantised(3));
        nodes.add(NodeProto.newBuilder()
                .setName(node.getName())
                .setOpType("Add")
                .addInput(a)
                .addInput(b)
                .addOutput(name("y"))
                .build());
        nodes.add(NodeProto.newBuilder()
                .setName(name("quantize"))
                .setOpType("QuantizeLinear")
                .addInput(name("y"))
                .addInput(input(6))
                .addInput(input(7))
                .addOutput(node.getOutput(0))
                .build());
        return nodes;
    }

    /** A tensor with its scale and, where there is one, zero point. */
    private String[] quantised(int slot) {
        String zero = input(slot + 2);
        return zero.isEmpty()
                ? new String[] {input(slot), input(slot + 1)}
                : new String[] {input(slot), input(slot + 1), zero};
    }

    private List<NodeProto> lower(Slots slots, int weightRank) {
        boolean gemm = node.getOpType().equals("QGemm");
        boolean transB = Attributes.integer(node, "transB", 0) != 0;
        int channelAxis = node.getOpType().equals("QLinearConv") || (gemm && transB) ? 0 : weightRank - 1;
        boolean last = Attributes.integer(node, "channels_last", 0) != 0;
        String data =
                last ? transpose("x_channels_first", input(slots.x()), channelsFirst(weightRank)) : input(slots.x());
        String x = add("DequantizeLinear", "x", data, input(slots.x() + 1), input(slots.x() + 2));
        String scale = along(channelAxis, weightRank, input(slots.w() + 1), "w_scale");
        String zero = along(channelAxis, weightRank, toFloat(input(slots.w() + 2), "w_zero"), "w_zero_axis");
        String w = add("Mul", "w", add("Sub", "w_steps", toFloat(input(slots.w()), "w_float"), zero), scale);
        List<String> operands = new ArrayList<>(List.of(x, w));
        if (slots.bias() >= 0 && !input(slots.bias()).isEmpty()) {
            // int32 bias: zero point 0, one step = s_x * s_w (for QGemm times alpha), per channel where the weights'
            // scale is
            String step = add("Mul", "b_step", input(slots.x() + 1), input(slots.w() + 1));
            if (gemm && Attributes.real(node, "alpha", 1) != 1) {
                step = add("Mul", "b_step_alpha", step, constant(Attributes.real(node, "alpha", 1)));
            }
            operands.add(add("Mul", "b", toFloat(input(slots.bias()), "b_float"), step));
        }
        String type = gemm ? "Gemm" : node.getOpType().substring("QLinear".length());
        boolean floatOutput = gemm && input(slots.y()).isEmpty();
        NodeProto.Builder layer = NodeProto.newBuilder()
                .setName(node.getName())
                .setOpType(type)
                .addAllInput(operands)
                .addAllAttribute(node.getAttributeList().stream()
                        .filter(a -> !a.getName().equals("channels_last"))
                        .toList())
                .addOutput(floatOutput ? node.getOutput(0) : name("y"));
        nodes.add(layer.build());
        if (!floatOutput) {
            nodes.add(NodeProto.newBuilder()
                    .setName(name("quantize"))
                    .setOpType("QuantizeLinear")
                    .addInput(name("y"))
                    .addInput(input(slots.y()))
                    .addInput(input(slots.y() + 1))
                    .addOutput(last ? name("y_channels_first") : node.getOutput(0))
                    .build());
        }
        if (last) {
            nodes.add(transpose(
                    name("y_channels_last"), name("y_channels_first"), channelsLast(weightRank), node.getOutput(0)));
        }
        return nodes;
    }

    /** The axes of [N, .., C] in the order [N, C, ..]. */
    private static List<Long> channelsFirst(int rank) {
        List<Long> axes = new ArrayList<>(List.of(0L, rank - 1L));
        for (long i = 1; i < rank - 1; i++) {
            axes.add(i);
        }
        return axes;
    }

    /** The axes of [N, C, ..] in the order [N, .., C]. */
    private static List<Long> channelsLast(int rank) {
        List<Long> axes = new ArrayList<>(List.of(0L));
        for (long i = 2; i < rank; i++) {
            axes.add(i);
        }
        axes.add(1L);
        return axes;
    }

    private String transpose(String part, String tensor, List<Long> axes) {
        nodes.add(transpose(name(part), tensor, axes, name(part)));
        return name(part);
    }

    private static NodeProto transpose(String name, String tensor, List<Long> axes, String output) {
        return NodeProto.newBuilder()
                .setOpType("Transpose")
                .setName(name)
                .addInput(tensor)
                .addAttribute(Attributes.of("perm", axes))
                .addOutput(output)
                .build();
    }

    private String input(int slot) {
        return slot < node.getInputCount() ? node.getInput(slot) : "";
    }

    private String name(String part) {
        return prefix + "/" + part;
    }

    private String add(String type, String part, String... inputs) {
        nodes.add(NodeProto.newBuilder()
                .setOpType(type)
                .setName(name(part))
                .addAllInput(List.of(inputs))
                .addOutput(name(part))
                .build());
        return name(part);
    }

    private String toFloat(String tensor, String part) {
        nodes.add(NodeProto.newBuilder()
                .setOpType("Cast")
                .setName(name(part))
                .addInput(tensor)
                .addAttribute(AttributeProto.newBuilder()
                        .setName("to")
                        .setType(AttributeProto.AttributeType.INT)
                        .setI(TensorProto.DataType.FLOAT.getNumber()))
                .addOutput(name(part))
                .build());
        return name(part);
    }

    /** A scalar or vector reshaped so that it broadcasts along one axis of the weights. */
    private String along(int axis, int rank, String tensor, String part) {
        TensorProto.Builder shape = TensorProto.newBuilder()
                .setDataType(TensorProto.DataType.INT64.getNumber())
                .addDims(rank);
        for (int i = 0; i < rank; i++) {
            shape.addInt64Data(i == axis ? -1 : 1);
        }
        return add("Reshape", part + "_reshaped", tensor, constant(part + "_shape", shape));
    }

    private String constant(float value) {
        return constant(
                "alpha",
                TensorProto.newBuilder()
                        .setDataType(TensorProto.DataType.FLOAT.getNumber())
                        .addFloatData(value));
    }

    private String constant(String part, TensorProto.Builder value) {
        nodes.add(NodeProto.newBuilder()
                .setOpType("Constant")
                .setName(name(part))
                .addAttribute(AttributeProto.newBuilder()
                        .setName("value")
                        .setType(AttributeProto.AttributeType.TENSOR)
                        .setT(value))
                .addOutput(name(part))
                .build());
        return name(part);
    }
}
