package dev.rebias.device.cuda;

import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.device.Tensor;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.Attributes;
import dev.rebias.op.OnnxOp;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.bytedeco.javacpp.FloatPointer;

/** Gemm and MatMul of any two tensors, by cuBLAS; with constant weights a {@link PreparedProduct} does it. */
final class Products {
    private Products() {}

    /** alpha * A' B' + beta * C, C broadcast to the product's shape. */
    static Optional<List<Tensor>> gemm(OnnxOp op, Inputs inputs) {
        NodeProto node = op.node();
        boolean added = inputs.given(2);
        if (!areFloats(inputs) || (added && !inputs.is(2, ElementType.FLOAT))) {
            return Optional.empty();
        }
        boolean transA = Attributes.integer(node, "transA", 0) != 0;
        boolean transB = Attributes.integer(node, "transB", 0) != 0;
        long[] left = inputs.shape(0);
        long[] right = inputs.shape(1);
        if (left.length != 2 || right.length != 2 || left[transA ? 0 : 1] != right[transB ? 1 : 0]) {
            throw mismatch(op, left, right);
        }
        long n = left[transA ? 1 : 0];
        long k = left[transA ? 0 : 1];
        long m = right[transB ? 0 : 1];
        long[] out = {n, m};
        if (added && !Arrays.equals(Shape.broadcast(inputs.shape(2), out), out)) {
            throw new UnsupportedException("Gemm adds a tensor of shape " + Shape.text(inputs.shape(2))
                    + " to a product of shape " + Shape.text(out));
        }
        CudaContext context = inputs.context();
        try (Partial made = new Partial();
                FloatPointer alpha = new FloatPointer(Attributes.real(node, "alpha", 1));
                FloatPointer beta = new FloatPointer(added ? Attributes.real(node, "beta", 1) : 0)) {
            DeviceTensor a = inputs.device(0);
            DeviceTensor b = inputs.device(1);
            DeviceTensor y = made.keep(DeviceTensor.allocate(context, ElementType.FLOAT, out));
            if (added) {
                DeviceTensor c = inputs.device(2);
                Copies.copy(context, c, 0, Copies.broadcastStrides(c.shape(), out), y, 0, StridedIndex.dense(out), out);
            }
            if (y.elements() > 0) {
                if (k == 0) {
                    // cuBLAS takes no empty product.
                    return Optional.empty();
                }
                PreparedProduct.multiply(
                        context,
                        alpha,
                        new PreparedProduct.Factor(a.address(), transA),
                        new PreparedProduct.Factor(b.address(), transB),
                        beta,
                        y.address(),
                        n,
                        k,
                        m,
                        1,
                        0,
                        0);
            }
            made.complete();
            return Optional.of(List.of(y));
        }
    }

    /** As numpy's matmul: vectors become matrices of one row or column, stacks of matrices broadcast. */
    static Optional<List<Tensor>> multiply(OnnxOp op, Inputs inputs) {
        if (!areFloats(inputs)) {
            return Optional.empty();
        }
        long[] left = matrix(inputs.shape(0), true);
        long[] right = matrix(inputs.shape(1), false);
        long n = left[left.length - 2];
        long k = left[left.length - 1];
        long m = right[right.length - 1];
        if (inputs.shape(0).length == 0 || inputs.shape(1).length == 0 || right[right.length - 2] != k) {
            throw mismatch(op, inputs.shape(0), inputs.shape(1));
        }
        long[] leftStack = Arrays.copyOf(left, left.length - 2);
        long[] rightStack = Arrays.copyOf(right, right.length - 2);
        long[] stack = Shape.broadcast(leftStack, rightStack);
        CudaContext context = inputs.context();
        try (Partial made = new Partial();
                Partial temporary = new Partial()) {
            DeviceTensor y = made.keep(DeviceTensor.allocate(
                    context, ElementType.FLOAT, out(stack, n, m, inputs.shape(0).length, inputs.shape(1).length)));
            long batches = Shape.elements(stack);
            if (y.elements() > 0) {
                if (k == 0) {
                    return Optional.empty();
                }
                // One matrix for the whole stack is read again and again; the rows of a stack by one matrix are rows of
                // one product; anything else that broadcasts is written out.
                boolean oneRight = Shape.elements(rightStack) == 1;
                boolean oneLeft = Shape.elements(leftStack) == 1 && !oneRight;
                Optional<DeviceTensor> a = oneLeft || oneRight
                        ? Optional.of(inputs.device(0))
                        : stacked(context, inputs.device(0), left, stack, temporary);
                Optional<DeviceTensor> b = oneRight
                        ? Optional.of(inputs.device(1))
                        : stacked(context, inputs.device(1), right, stack, temporary);
                if (a.isEmpty() || b.isEmpty()) {
                    return Optional.empty();
                }
                PreparedProduct.multiply(
                        context,
                        context.one(),
                        new PreparedProduct.Factor(a.get().address(), false),
                        new PreparedProduct.Factor(b.get().address(), false),
                        context.zero(),
                        y.address(),
                        oneRight ? batches * n : n,
                        k,
                        m,
                        oneRight ? 1 : batches,
                        oneLeft ? 0 : n * k,
                        k * m);
            }
            made.complete();
            return Optional.of(List.of(y));
        }
    }

    private static long[] matrix(long[] shape, boolean left) {
        if (shape.length != 1) {
            return shape.length == 0 ? new long[] {1, 1} : shape;
        }
        return left ? new long[] {1, shape[0]} : new long[] {shape[0], 1};
    }

    private static long[] out(long[] stack, long n, long m, int leftRank, int rightRank) {
        long[] out = Arrays.copyOf(stack, stack.length + 2);
        out[stack.length] = n;
        out[stack.length + 1] = m;
        if (rightRank == 1) {
            out = Arrays.copyOf(out, out.length - 1);
        }
        if (leftRank == 1) {
            int row = stack.length;
            long[] shorter = new long[out.length - 1];
            System.arraycopy(out, 0, shorter, 0, row);
            System.arraycopy(out, row + 1, shorter, row, shorter.length - row);
            out = shorter;
        }
        return out;
    }

    private static Optional<DeviceTensor> stacked(
            CudaContext context, DeviceTensor x, long[] shape, long[] stack, Partial temporary) {
        long[] whole = Arrays.copyOf(stack, stack.length + 2);
        whole[stack.length] = shape[shape.length - 2];
        whole[stack.length + 1] = shape[shape.length - 1];
        if (Shape.elements(whole) == x.elements()) {
            return Optional.of(x);
        }
        DeviceTensor to = temporary.keep(DeviceTensor.allocate(context, ElementType.FLOAT, whole));
        return Copies.copy(
                        context, x, 0, Copies.broadcastStrides(shape, whole), to, 0, StridedIndex.dense(whole), whole)
                ? Optional.of(to)
                : Optional.empty();
    }

    private static boolean areFloats(Inputs inputs) {
        return inputs.is(0, ElementType.FLOAT) && inputs.is(1, ElementType.FLOAT);
    }

    private static UnsupportedException mismatch(OnnxOp op, long[] left, long[] right) {
        return new UnsupportedException(
                op.type() + " of data of shapes " + Shape.text(left) + " and " + Shape.text(right) + " is none");
    }
}
