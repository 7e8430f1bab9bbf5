package dev.rebias.model;

import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.op.Attributes;
import dev.rebias.op.Gemm;
import dev.rebias.op.LayerOp;
import dev.rebias.op.OnnxOp;
import dev.rebias.tensor.HostTensor;
import java.util.List;
import java.util.Objects;
import java.util.Set;

/** What operations do with axis 0, the samples. */
final class BatchedOperations {
    private static final Set<String> APART = Set.of(
            "AveragePool",
            "MaxPool",
            "LpPool",
            "GlobalAveragePool",
            "GlobalMaxPool",
            "LRN",
            "InstanceNormalization",
            "QuantizeLinear",
            "DequantizeLinear",
            "Dropout",
            "Identity",
            "Cast",
            "DepthToSpace",
            "SpaceToDepth",
            "Relu",
            "LeakyRelu",
            "Elu",
            "Selu",
            "Celu",
            "Gelu",
            "Mish",
            "Sigmoid",
            "HardSigmoid",
            "HardSwish",
            "Softplus",
            "Softsign",
            "ThresholdedRelu",
            "Tanh",
            "Exp",
            "Log",
            "Abs",
            "Neg",
            "Sqrt",
            "Erf",
            "Floor",
            "Ceil",
            "Round",
            "Reciprocal",
            "Sign");

    private static final Set<String> BROADCASTING =
            Set.of("Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "PRelu", "Clip");

    private BatchedOperations() {}

    /** Whether every operation of a model is one that surely keeps samples apart; others may. */
    static boolean keepSamplesApart(Graph graph) {
        return graph.nodes().stream().allMatch(n -> keepsSamplesApart(n, graph));
    }

    private static boolean keepsSamplesApart(Node node, Graph graph) {
        if (node.op() instanceof LayerOp) {
            // Of a Gemm the data may lie on their side.
            return !(node.op() instanceof Gemm gemm && gemm.transA());
        }
        if (!(node.op() instanceof OnnxOp op) || !op.standard()) {
            return false;
        }
        NodeProto proto = op.node();
        if (BROADCASTING.contains(op.type())) {
            return node.inputs().stream()
                    .map(graph.constants()::get)
                    .filter(Objects::nonNull)
                    .allMatch(BatchedOperations::isTheSameForAllSamples);
        }
        return switch (op.type()) {
            case "Concat", "Split" -> isInside(Attributes.integer(proto, "axis", 0));
            case "Softmax", "LogSoftmax" -> isInside(Attributes.integer(proto, "axis", -1));
            case "BatchNormalization" -> Attributes.integer(proto, "training_mode", 0) == 0;
            case "Flatten" -> Attributes.integer(proto, "axis", 1) == 1;
            case "Transpose" ->
                Attributes.integers(proto, "perm")
                        .map(List::copyOf)
                        .filter(p -> !p.isEmpty() && p.get(0) == 0)
                        .isPresent();
            default -> APART.contains(op.type());
        };
    }

    /** Whether an axis is not that of the samples; one counted from the end may be. */
    private static boolean isInside(long axis) {
        return axis > 0 || axis == -1;
    }

    /**
     * Whether an operand has no axis of samples, whatever number of dimensions the other one has; [channels, 1, 1] are
     * a bias.
     */
    private static boolean isTheSameForAllSamples(HostTensor constant) {
        long[] shape = constant.shape();
        return shape.length < 2 || shape[0] == 1 || (shape.length == 3 && shape[1] == 1 && shape[2] == 1);
    }
}
