package dev.rebias.op;

import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.tensor.Shape;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * ONNX ReduceMean, ReduceSum, ReduceMax, ReduceMin, GlobalAveragePool and GlobalMaxPool over neighbouring axes: data seen as [outer, length, inner].
 *
 * @param operation what is done along the axes
 * @param output the output's shape
 */
public record Reduction(Operation operation, long outer, long length, long inner, long[] output) {
    /** What is done along the axes. */
    public enum Operation {
        MEAN(0),
        SUM(1),
        MAX(2),
        MIN(3);

        private final int code;

        Operation(int code) {
            this.code = code;
        }

        /** The number by which kernels know it. */
        public int code() {
            return code;
        }
    }

    private static final Map<String, Operation> OPERATIONS = Map.of(
            "ReduceMean", Operation.MEAN,
            "ReduceSum", Operation.SUM,
            "ReduceMax", Operation.MAX,
            "ReduceMin", Operation.MIN,
            "GlobalAveragePool", Operation.MEAN,
            "GlobalMaxPool", Operation.MAX);

    /**
     * Parses a node for data of that shape.
     *
     * @param axes the axes that an input names, where the operator set has them as an input
     * @return empty if the axes are no neighbours
     */
    public static Optional<Reduction> of(OnnxOp op, long[] data, Optional<long[]> axes) {
        NodeProto node = op.node();
        Operation operation = OPERATIONS.get(node.getOpType());
        int rank = data.length;
        boolean keep = true;
        int[] reduced;
        if (node.getOpType().startsWith("Global")) {
            reduced = IntStream.range(2, rank).toArray();
        } else {
            keep = Attributes.integer(node, "keepdims", 1) != 0;
            long[] named = Attributes.integers(node, "axes")
                    .map(l -> l.stream().mapToLong(Long::longValue).toArray())
                    .or(() -> axes)
                    .orElse(new long[0]);
            if (named.length == 0 && Attributes.integer(node, "noop_with_empty_axes", 0) != 0) {
                return Optional.empty();
            }
            reduced = named.length == 0
                    ? IntStream.range(0, rank).toArray()
                    : Arrays.stream(Axes.distinct(named, rank)).sorted().toArray();
        }
        if (reduced.length == 0 || reduced[reduced.length - 1] - reduced[0] != reduced.length - 1) {
            return Optional.empty();
        }
        int first = reduced[0];
        int behind = first + reduced.length;
        long[] output = keep
                ? IntStream.range(0, rank)
                        .mapToLong(i -> i >= first && i < behind ? 1 : data[i])
                        .toArray()
                : IntStream.range(0, rank)
                        .filter(i -> i < first || i >= behind)
                        .mapToLong(i -> data[i])
                        .toArray();
        return Optional.of(new Reduction(
                operation,
                Shape.elements(data, 0, first),
                Shape.elements(data, first, behind),
                Shape.elements(data, behind, rank),
                output));
    }

    /** The op types that this parses. */
    public static List<String> types() {
        return List.copyOf(OPERATIONS.keySet());
    }
}
