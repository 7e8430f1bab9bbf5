package dev.rebias.device.cuda;

import dev.rebias.device.Tensor;
import dev.rebias.op.Attributes;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.Reduction;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Sums, means and the like along axes, {@code cuda-kernels/reduce.cu}, and where the largest lies, {@code argmax.cu}.
 */
final class Reductions {
    private Reductions() {}

    static Optional<List<Tensor>> reduce(OnnxOp op, Inputs inputs) {
        if (!inputs.is(0, ElementType.FLOAT)) {
            return Optional.empty();
        }
        long[] shape = inputs.shape(0);
        if (inputs.given(1)
                && inputs.shape(1).length == 1
                && inputs.shape(1)[0] == 0
                && Attributes.integer(op.node(), "noop_with_empty_axes", 0) != 0) {
            return Optional.of(List.of(inputs.device(0).reshape(shape)));
        }
        Optional<Reduction> parsed = inputs.given(1) && inputs.integers(1).isEmpty()
                ? Optional.empty()
                : Reduction.of(op, shape, inputs.integers(1));
        if (parsed.isEmpty() || parsed.get().length() == 0) {
            return Optional.empty();
        }
        Reduction r = parsed.get();
        DeviceTensor x = inputs.device(0);
        if (r.order().isEmpty()) {
            return Optional.of(List.of(reduced(inputs.context(), x, r)));
        }
        int[] order = r.order().get();
        long[] own = StridedIndex.dense(shape);
        long[] sizes = Arrays.stream(order).mapToLong(i -> shape[i]).toArray();
        long[] strides = Arrays.stream(order).mapToLong(i -> own[i]).toArray();
        try (DeviceTensor ordered = DeviceTensor.allocate(inputs.context(), ElementType.FLOAT, sizes)) {
            return Copies.copy(inputs.context(), x, 0, strides, ordered, 0, StridedIndex.dense(sizes), sizes)
                    ? Optional.of(List.of(reduced(inputs.context(), ordered, r)))
                    : Optional.empty();
        }
    }

    private static DeviceTensor reduced(CudaContext context, DeviceTensor x, Reduction r) {
        try (Partial made = new Partial()) {
            DeviceTensor y = made.keep(DeviceTensor.allocate(context, ElementType.FLOAT, r.output()));
            long n = y.elements();
            if (n > 0 && r.inner() == 1) {
                context.arguments()
                        .pointer(x.address())
                        .pointer(y.address())
                        .int64(n)
                        .int64(r.length())
                        .int32(r.operation().code())
                        .over(context.kernel("reduce.cu", "reduce_rows"), "reduce_rows", 32 * n);
            } else if (n > 0) {
                context.arguments()
                        .pointer(x.address())
                        .pointer(y.address())
                        .int64(n)
                        .int64(r.length())
                        .int64(r.inner())
                        .int32(r.operation().code())
                        .over(context.kernel("reduce.cu", "reduce_columns"), "reduce_columns", n);
            }
            made.complete();
            return y;
        }
    }

    /** ArgMax and ArgMin: int64 that stay on the card, as they are data and say nothing of shapes. */
    static Optional<List<Tensor>> argument(OnnxOp op, Inputs inputs) {
        if (!inputs.is(0, ElementType.FLOAT)) {
            return Optional.empty();
        }
        long[] shape = inputs.shape(0);
        int named = Math.toIntExact(Attributes.integer(op.node(), "axis", 0));
        int axis = named < 0 ? named + shape.length : named;
        if (shape.length == 0 || shape[axis] == 0) {
            return Optional.empty();
        }
        boolean keep = Attributes.integer(op.node(), "keepdims", 1) != 0;
        long[] out = new long[keep ? shape.length : shape.length - 1];
        for (int i = 0, next = 0; i < shape.length; i++) {
            if (i != axis || keep) {
                out[next++] = i == axis ? 1 : shape[i];
            }
        }
        long inner = Shape.elements(shape, axis + 1, shape.length);
        int smallest = op.type().equals("ArgMin") ? 1 : 0;
        int last = Attributes.integer(op.node(), "select_last_index", 0) != 0 ? 1 : 0;
        CudaContext context = inputs.context();
        DeviceTensor x = inputs.device(0);
        try (Partial made = new Partial()) {
            DeviceTensor y = made.keep(DeviceTensor.allocate(context, ElementType.INT64, out));
            long n = y.elements();
            if (n > 0) {
                String kernel = inner == 1 ? "argmax_rows" : "argmax_columns";
                Launch arguments = context.arguments()
                        .pointer(x.address())
                        .pointer(y.address())
                        .int64(n)
                        .int64(shape[axis]);
                if (inner != 1) {
                    arguments.int64(inner);
                }
                arguments
                        .int32(smallest)
                        .int32(last)
                        .over(context.kernel("argmax.cu", kernel), kernel, inner == 1 ? 32 * n : n);
            }
            made.complete();
            return Optional.of(List.of(y));
        }
    }
}
