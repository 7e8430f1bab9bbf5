package dev.rebias.op;

import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.tensor.Shape;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * ONNX's reductions: ReduceMean, ReduceSum, ReduceMax, ReduceMin, ReduceProd, ReduceL1, ReduceL2, ReduceSumSquare,
 * ReduceLogSum, ReduceLogSumExp, GlobalAveragePool and GlobalMaxPool: data seen as [outer, length, inner].
 *
 * @param operation what is done along the axes
 * @param order the order into which the data's axes must be brought first, where those that are reduced are no
 *     neighbours
 * @param output the output's shape
 */
public record Reduction(
        Operation operation, long outer, long length, long inner, Optional<int[]> order, long[] output) {
    /** What is done along the axes. */
    public enum Operation {
        MEAN(0),
        SUM(1),
        MAX(2),
        MIN(3),
        PRODUCT(4),
        L1(5),
        L2(6),
        SUM_SQUARE(7),
        LOG_SUM(8),
        LOG_SUM_EXP(9);

        private final int code;

        Operation(int code) {
            this.code = code;
        }

        /** The number by which kernels know it. */
        public int code() {
            return code;
        }
    }

    private static final Map<String, Operation> OPERATIONS = Map.ofEntries(
            Map.entry("ReduceMean", Operation.MEAN),
            Map.entry("ReduceSum", Operation.SUM),
            Map.entry("ReduceMax", Operation.MAX),
            Map.entry("ReduceMin", Operation.MIN),
            Map.entry("ReduceProd", Operation.PRODUCT),
            Map.entry("ReduceL1", Operation.L1),
            Map.entry("ReduceL2", Operation.L2),
            Map.entry("ReduceSumSquare", Operation.SUM_SQUARE),
            Map.entry("ReduceLogSum", Operation.LOG_SUM),
            Map.entry("ReduceLogSumExp", Operation.LOG_SUM_EXP),
            Map.entry("GlobalAveragePool", Operation.MEAN),
            Map.entry("GlobalMaxPool", Operation.MAX));

    /**
     * Parses a node for data of that shape.
     *
     * @param axes the axes that an input names, where the operator set has them as an input
     * @return empty if there is nothing to reduce
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
        if (reduced.length == 0) {
            return Optional.empty();
        }
        boolean[] gone = new boolean[rank];
        Arrays.stream(reduced).forEach(a -> gone[a] = true);
        boolean kept = keep;
        long[] output = IntStream.range(0, rank)
                .filter(i -> kept || !gone[i])
                .mapToLong(i -> gone[i] ? 1 : data[i])
                .toArray();
        if (reduced[reduced.length - 1] - reduced[0] == reduced.length - 1) {
            int first = reduced[0];
            int behind = first + reduced.length;
            return Optional.of(new Reduction(
                    operation,
                    Shape.elements(data, 0, first),
                    Shape.elements(data, first, behind),
                    Shape.elements(data, behind, rank),
                    Optional.empty(),
                    output));
        }
        int[] order = IntStream.concat(IntStream.range(0, rank).filter(i -> !gone[i]), Arrays.stream(reduced))
                .toArray();
        long length = 1;
        for (int a : reduced) {
            length = Math.multiplyExact(length, data[a]);
        }
        return Optional.of(new Reduction(operation, Shape.elements(output), length, 1, Optional.of(order), output));
    }

    /** The op types that this parses. */
    public static List<String> types() {
        return List.copyOf(OPERATIONS.keySet());
    }
}
