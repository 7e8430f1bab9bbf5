package dev.rebias.device.cuda;

import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.Gemm;
import dev.rebias.op.LayerOp;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.List;
import org.bytedeco.cuda.global.cublas;
import org.bytedeco.javacpp.FloatPointer;

/** Gemm and MatMul with constant weights by cuBLAS, without bias: y [N,M] = alpha * A' B'. */
final class PreparedProduct implements PreparedOp {
    private final CudaContext context;
    private final LayerOp op;
    private final boolean tf32;
    private final long[] weightShape;
    private final DeviceTensor weights;
    private final FloatPointer alpha;

    /**
     * A product.
     *
     * @param tf32 whether factors may be rounded to TF32
     */
    PreparedProduct(CudaContext context, LayerOp op, HostTensor weights, boolean tf32) {
        this.context = context;
        this.tf32 = tf32;
        this.op = op;
        this.weightShape = weights.shape();
        this.alpha = new FloatPointer(op instanceof Gemm g ? g.alpha() : 1f);
        try {
            this.weights = context.upload(weights);
        } catch (RuntimeException e) {
            alpha.close();
            throw e;
        }
    }

    @Override
    public List<Tensor> run(List<Tensor> variables) {
        if (variables.get(0) instanceof HostResident onHost) {
            try (DeviceTensor sent = context.upload(onHost.values())) {
                return run(List.of(sent));
            }
        }
        DeviceTensor x = (DeviceTensor) variables.get(0);
        long[] out = op.outputShape(x.shape(), weightShape);
        boolean transA = op instanceof Gemm g && g.transA();
        boolean transB = op instanceof Gemm g && g.transB();
        long m = out[out.length - 1];
        long n = m == 0 ? 0 : Shape.elements(out) / m;
        long k = weightShape[transB ? 1 : 0];
        try (Partial made = new Partial()) {
            DeviceTensor y = made.keep(DeviceTensor.allocate(context, ElementType.FLOAT, out));
            if (y.elements() > 0) {
                Factor a = new Factor(x.address(), transA);
                Factor b = new Factor(weights.address(), transB);
                Runnable product = () -> multiply(context, alpha, a, b, context.zero(), y.address(), n, k, m, 1, 0, 0);
                if (tf32) {
                    context.inTf32(product);
                } else {
                    product.run();
                }
            }
            made.complete();
            return List.of(y);
        }
    }

    /** A row-major matrix, read as it is or transposed. */
    record Factor(long address, boolean transposed) {}

    /**
     * y [n,m] = alpha * a [n,k] b [k,m] + beta * y, row-major, {@code batches} times. cuBLAS has columns first: a
     * row-major matrix is to it the transposed one, so y' = b' a' is asked for, which needs no copy.
     *
     * @param strideA how far the batches' matrices lie apart in a, in elements; 0 for the same one; likewise b; y's are
     *     dense
     */
    static void multiply(
            CudaContext context,
            FloatPointer alpha,
            Factor a,
            Factor b,
            FloatPointer beta,
            long y,
            long n,
            long k,
            long m,
            long batches,
            long strideA,
            long strideB) {
        String what = batches + " x [" + n + "," + k + "] by [" + k + "," + m + "]";
        long most = context.libraryElements();
        if (Math.max(Math.max(k, m), Math.max(batches, batches == 1 && !a.transposed() ? 0 : n)) > most) {
            throw new UnsupportedException(
                    "a matrix product of " + what + " has more rows or columns than cuBLAS takes (" + most
                            + "): use a smaller `batchSize`, or `device` cpu");
        }
        for (long first = 0; first < n; first += most) {
            Factor part = new Factor(a.address() + first * k * Float.BYTES, a.transposed());
            long rows = Math.min(most, n - first);
            product(
                    context,
                    alpha,
                    part,
                    b,
                    beta,
                    y + first * m * Float.BYTES,
                    rows,
                    k,
                    m,
                    batches,
                    strideA,
                    strideB,
                    what);
        }
    }

    private static void product(
            CudaContext context,
            FloatPointer alpha,
            Factor a,
            Factor b,
            FloatPointer beta,
            long y,
            long n,
            long k,
            long m,
            long batches,
            long strideA,
            long strideB,
            String what) {
        int opA = a.transposed() ? cublas.CUBLAS_OP_T : cublas.CUBLAS_OP_N;
        int opB = b.transposed() ? cublas.CUBLAS_OP_T : cublas.CUBLAS_OP_N;
        int leadingA = Math.toIntExact(a.transposed() ? n : k);
        int leadingB = Math.toIntExact(b.transposed() ? k : m);
        try (FloatPointer pa = new FloatPointer(new Address(a.address()));
                FloatPointer pb = new FloatPointer(new Address(b.address()));
                FloatPointer py = new FloatPointer(new Address(y))) {
            if (batches == 1) {
                Status.cublas(
                        cublas.cublasSgemm_v2(
                                context.cublas(),
                                opB,
                                opA,
                                Math.toIntExact(m),
                                Math.toIntExact(n),
                                Math.toIntExact(k),
                                alpha,
                                pb,
                                leadingB,
                                pa,
                                leadingA,
                                beta,
                                py,
                                Math.toIntExact(m)),
                        "cublasSgemm",
                        what);
            } else {
                Status.cublas(
                        cublas.cublasSgemmStridedBatched(
                                context.cublas(),
                                opB,
                                opA,
                                Math.toIntExact(m),
                                Math.toIntExact(n),
                                Math.toIntExact(k),
                                alpha,
                                pb,
                                leadingB,
                                strideB,
                                pa,
                                leadingA,
                                strideA,
                                beta,
                                py,
                                Math.toIntExact(m),
                                n * m,
                                Math.toIntExact(batches)),
                        "cublasSgemmStridedBatched",
                        what);
            }
        }
    }

    @Override
    public void close() {
        alpha.close();
        weights.close();
    }
}
