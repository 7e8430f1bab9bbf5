package dev.rebias.device.cuda;

import dev.rebias.device.Resources;
import java.util.function.Function;
import java.util.function.IntSupplier;
import java.util.function.ToIntFunction;
import org.bytedeco.cuda.cublas.cublasLtContext;
import org.bytedeco.cuda.cublas.cublasLtMatmulDescOpaque_t;
import org.bytedeco.cuda.cublas.cublasLtMatmulHeuristicResult_t;
import org.bytedeco.cuda.cublas.cublasLtMatmulPreferenceOpaque_t;
import org.bytedeco.cuda.cublas.cublasLtMatrixLayoutOpaque_t;
import org.bytedeco.cuda.global.cublas;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerPointer;

/**
 * y [batch, out] = x [batch, in] w^T by cublasLtMatmul, w [out, in]: the summed index is contiguous in both, as int8
 * must have it. In cuBLASLt's columns that is y [out, batch] = w [in, out]^T x [in, batch].
 *
 * @param compute CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F_FAST_TF32, or CUBLAS_COMPUTE_32I, which makes int32 of int8
 */
record LightProduct(int compute, int batch, int in, int out) {
    /** As much as an algorithm may have: what NVIDIA advises for Hopper. */
    private static final long WORKSPACE = 32L << 20;

    private boolean integers() {
        return compute == cublas.CUBLAS_COMPUTE_32I;
    }

    /**
     * Makes it ready.
     *
     * @param owned is given what the calls need, to be closed behind the last
     * @param x the address of x; float32, or int8
     * @param w the address of w, of the same type
     * @param y the address of y; float32, or int32
     * @return one call, which answers with cuBLASLt's status; CUBLAS_STATUS_NOT_SUPPORTED if there is no algorithm
     */
    IntSupplier ready(CudaContext context, Resources owned, long x, long w, long y) {
        int scale = integers() ? cudart.CUDA_R_32I : cudart.CUDA_R_32F;
        int operand = integers() ? cudart.CUDA_R_8I : cudart.CUDA_R_32F;
        cublasLtContext handle = new cublasLtContext();
        Status.cublas(cublas.cublasLtCreate(handle), "cublasLtCreate", "");
        owned.add(() -> Status.cublas(cublas.cublasLtDestroy(handle), "cublasLtDestroy", ""));
        cublasLtMatmulDescOpaque_t product = created(
                owned,
                "cublasLtMatmulDesc",
                to -> cublas.cublasLtMatmulDescCreate(to, compute, scale),
                cublasLtMatmulDescOpaque_t::new,
                cublas::cublasLtMatmulDescDestroy);
        IntPointer transposed = keep(owned, new IntPointer(1).put(cublas.CUBLAS_OP_T));
        Status.cublas(
                cublas.cublasLtMatmulDescSetAttribute(
                        product, cublas.CUBLASLT_MATMUL_DESC_TRANSA, transposed, Integer.BYTES),
                "cublasLtMatmulDescSetAttribute",
                "");
        cublasLtMatrixLayoutOpaque_t wLayout = layout(owned, operand, in, out);
        cublasLtMatrixLayoutOpaque_t xLayout = layout(owned, operand, in, batch);
        cublasLtMatrixLayoutOpaque_t yLayout = layout(owned, scale, out, batch);
        cublasLtMatmulPreferenceOpaque_t preference = created(
                owned,
                "cublasLtMatmulPreference",
                cublas::cublasLtMatmulPreferenceCreate,
                cublasLtMatmulPreferenceOpaque_t::new,
                cublas::cublasLtMatmulPreferenceDestroy);
        LongPointer workspace = keep(owned, new LongPointer(1).put(WORKSPACE));
        Status.cublas(
                cublas.cublasLtMatmulPreferenceSetAttribute(
                        preference, cublas.CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace, Long.BYTES),
                "cublasLtMatmulPreferenceSetAttribute",
                "");
        cublasLtMatmulHeuristicResult_t found = keep(owned, new cublasLtMatmulHeuristicResult_t());
        int[] number = new int[1];
        int status = cublas.cublasLtMatmulAlgoGetHeuristic(
                handle, product, wLayout, xLayout, yLayout, yLayout, preference, 1, found, number);
        if (status != cublas.CUBLAS_STATUS_SUCCESS) {
            return () -> status;
        }
        if (number[0] == 0) {
            return () -> cublas.CUBLAS_STATUS_NOT_SUPPORTED;
        }
        MemoryPool.Block space = context.pool().allocate(found.workspaceSize(), "cuBLASLt's workspace");
        owned.add(space::close);
        Pointer one = integers() ? keep(owned, new IntPointer(1).put(1)) : context.one();
        Pointer zero = integers() ? keep(owned, new IntPointer(1).put(0)) : context.zero();
        return () -> cublas.cublasLtMatmul(
                handle,
                product,
                one,
                new Address(w),
                wLayout,
                new Address(x),
                xLayout,
                zero,
                new Address(y),
                yLayout,
                new Address(y),
                yLayout,
                found.algo(),
                new Address(space.address()),
                found.workspaceSize(),
                context.computeStream());
    }

    private static cublasLtMatrixLayoutOpaque_t layout(Resources owned, int type, int rows, int columns) {
        return created(
                owned,
                "cublasLtMatrixLayout",
                to -> cublas.cublasLtMatrixLayoutCreate(to, type, rows, columns, rows),
                cublasLtMatrixLayoutOpaque_t::new,
                cublas::cublasLtMatrixLayoutDestroy);
    }

    /** What one of cuBLASLt's functions creates. */
    private static <T extends Pointer> T created(
            Resources owned,
            String name,
            ToIntFunction<PointerPointer<Pointer>> create,
            Function<Pointer, T> as,
            ToIntFunction<T> destroy) {
        try (PointerPointer<Pointer> to = new PointerPointer<>(1)) {
            Status.cublas(create.applyAsInt(to), name + "Create", "");
            T object = as.apply(to.get());
            owned.add(() -> Status.cublas(destroy.applyAsInt(object), name + "Destroy", ""));
            return object;
        }
    }

    private static <T extends Pointer> T keep(Resources owned, T pointer) {
        owned.add(pointer::close);
        return pointer;
    }
}
