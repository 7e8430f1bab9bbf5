package dev.rebias.device.cuda;

import dev.rebias.device.Resources;
import dev.rebias.tensor.ElementType;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import java.util.function.IntSupplier;
import java.util.function.Predicate;
import org.bytedeco.cuda.global.cublas;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;

/**
 * Asks cuBLAS and cuBLASLt for y [batch, 96] = x [batch, 160] w in every way that a layer of a network could, and looks
 * at what comes back.
 */
final class ProductProbe {
    private static final int IN = 160;
    private static final int OUT = 96;
    /** Largest value of 8-bit integers; sums of the products stay below 2^24. */
    private static final int LARGEST = 127;

    private static final int TIMED = 3;

    /** Makes a call ready that works out y of x and w, and answers with the library's status. */
    private interface Library {
        IntSupplier ready(Resources owned, int batch, long x, long w, long y);
    }

    /**
     * A way to ask for the product.
     *
     * @param integers whether it makes int32 of int8, or else float32 of float32
     * @param transposed whether w lies as [96, 160]
     */
    private record Way(
            String library, String algorithm, String math, boolean integers, boolean transposed, Library call) {}

    private record Outcome(int status, double[] first, double[] last, double milliseconds) {}

    private final CudaContext context;
    private final boolean emulated;
    private final Predicate<String> wanted;
    private final Consumer<ProbeRow> rows;
    /** What the first batch size gave, by the way that was asked. */
    private final Map<Way, double[]> alone = new HashMap<>();

    /** The same as those of {@link LibraryProbe}, whose card this is. */
    ProductProbe(CudaContext context, boolean emulated, Predicate<String> wanted, Consumer<ProbeRow> rows) {
        this.context = context;
        this.emulated = emulated;
        this.wanted = wanted;
        this.rows = rows;
    }

    /** Tries every way. */
    void run(List<Integer> batches) {
        for (Way way : ways()) {
            for (int batch : batches) {
                product(way, batch);
            }
        }
    }

    private List<Way> ways() {
        Way fma = new Way("cublas", "default", "FMA", false, false, sgemm(cublas.CUBLAS_DEFAULT_MATH));
        Way tf32 = new Way("cublas", "default", "TF32", false, false, sgemm(cublas.CUBLAS_TF32_TENSOR_OP_MATH));
        Way bytes = new Way("cublas", "GemmEx", "INT8", true, false, this::gemmEx);
        Way lightFma = light("FMA", cublas.CUBLAS_COMPUTE_32F);
        Way lightTf32 = light("TF32", cublas.CUBLAS_COMPUTE_32F_FAST_TF32);
        Way lightBytes = light("INT8", cublas.CUBLAS_COMPUTE_32I);
        // The emulator has no cublasGemmEx.
        return emulated
                ? List.of(fma, tf32, lightFma, lightTf32, lightBytes)
                : List.of(fma, tf32, bytes, lightFma, lightTf32, lightBytes);
    }

    private void product(Way way, int batch) {
        ProbeRow asked = ProbeRow.asked(way.library(), "matrix", "product", way.algorithm(), way.math(), batch);
        if (!wanted.test(asked.key())) {
            return;
        }
        Random random = new Random(7);
        float[] x = ProbeData.integers(random, IN, LARGEST);
        float[] w = ProbeData.integers(random, IN * OUT, LARGEST);
        Outcome whole = measure(way, batch, x, w);
        if (whole.status() != cublas.CUBLAS_STATUS_SUCCESS) {
            rows.accept(asked.refused(
                    cublas.cublasGetStatusName(whole.status()).getString().replace("CUBLAS_STATUS_", "")));
            return;
        }
        double[] expected = new double[OUT];
        for (int o = 0; o < OUT; o++) {
            for (int i = 0; i < IN; i++) {
                expected[o] += (double) x[i] * w[i * OUT + o];
            }
        }
        boolean exact = Arrays.equals(expected, whole.first()) && Arrays.equals(expected, whole.last());
        Outcome compared = way.integers()
                ? whole
                : measure(way, batch, ProbeData.reals(random, IN), ProbeData.reals(random, IN * OUT));
        // A call that was refused has no bits to compare.
        boolean same = compared.status() == cublas.CUBLAS_STATUS_SUCCESS;
        if (same) {
            double[] single = alone.computeIfAbsent(way, k -> compared.first());
            same = Arrays.equals(single, compared.first()) && Arrays.equals(single, compared.last());
        }
        rows.accept(asked.done(whole.milliseconds(), exact, same));
    }

    /** One sample x [160], {@code batch} times, by w [160, 96]. */
    private Outcome measure(Way way, int batch, float[] x, float[] w) {
        try (DeviceTensor data = ProbeData.upload(context, x, batch, way.integers());
                DeviceTensor weights =
                        ProbeData.upload(context, way.transposed() ? transposed(w) : w, 1, way.integers());
                DeviceTensor y = DeviceTensor.allocate(
                        context, way.integers() ? ElementType.INT32 : ElementType.FLOAT, batch, OUT);
                Resources owned = new Resources()) {
            IntSupplier call = way.call().ready(owned, batch, data.address(), weights.address(), y.address());
            double[] times = new double[TIMED];
            for (int i = -1; i < TIMED; i++) {
                context.synchronise();
                long start = System.nanoTime();
                int status = call.getAsInt();
                if (status != cublas.CUBLAS_STATUS_SUCCESS) {
                    return new Outcome(status, new double[0], new double[0], 0);
                }
                context.synchronise();
                // The first call may load and compile: the second's time takes the place of its own.
                times[Math.max(i, 0)] = (System.nanoTime() - start) / 1e6;
            }
            Arrays.sort(times);
            return new Outcome(cublas.CUBLAS_STATUS_SUCCESS, row(way, y, 0), row(way, y, batch - 1L), times[TIMED / 2]);
        }
    }

    /** Doubles hold every float32 and every int32 as it is. */
    private double[] row(Way way, DeviceTensor y, long sample) {
        if (way.integers()) {
            return Arrays.stream(ProbeData.ints(context, y, sample * OUT, OUT))
                    .asDoubleStream()
                    .toArray();
        }
        float[] values = ProbeData.floats(context, y, sample * OUT, OUT);
        double[] row = new double[OUT];
        for (int o = 0; o < OUT; o++) {
            row[o] = values[o];
        }
        return row;
    }

    private static float[] transposed(float[] w) {
        float[] moved = new float[w.length];
        for (int i = 0; i < IN; i++) {
            for (int o = 0; o < OUT; o++) {
                moved[o * IN + i] = w[i * OUT + o];
            }
        }
        return moved;
    }

    /** As rebias asks cuBLAS for it, in one of cuBLAS's math modes. */
    private Library sgemm(int mode) {
        return (owned, batch, x, w, y) -> {
            Status.cublas(cublas.cublasSetMathMode(context.cublas(), mode), "cublasSetMathMode", "");
            owned.add(() -> Status.cublas(
                    cublas.cublasSetMathMode(context.cublas(), cublas.CUBLAS_DEFAULT_MATH), "cublasSetMathMode", ""));
            return () -> cublas.cublasSgemm_v2(
                    context.cublas(),
                    cublas.CUBLAS_OP_N,
                    cublas.CUBLAS_OP_N,
                    OUT,
                    batch,
                    IN,
                    context.one(),
                    new FloatPointer(new Address(w)),
                    OUT,
                    new FloatPointer(new Address(x)),
                    IN,
                    context.zero(),
                    new FloatPointer(new Address(y)),
                    OUT);
        };
    }

    private IntSupplier gemmEx(Resources owned, int batch, long x, long w, long y) {
        IntPointer one = new IntPointer(1).put(1);
        IntPointer zero = new IntPointer(1).put(0);
        owned.add(one::close);
        owned.add(zero::close);
        return () -> cublas.cublasGemmEx(
                context.cublas(),
                cublas.CUBLAS_OP_N,
                cublas.CUBLAS_OP_N,
                OUT,
                batch,
                IN,
                one,
                new Address(w),
                cudart.CUDA_R_8I,
                OUT,
                new Address(x),
                cudart.CUDA_R_8I,
                IN,
                zero,
                new Address(y),
                cudart.CUDA_R_32I,
                OUT,
                cublas.CUBLAS_COMPUTE_32I,
                cublas.CUBLAS_GEMM_DEFAULT);
    }

    private Way light(String math, int compute) {
        boolean integers = compute == cublas.CUBLAS_COMPUTE_32I;
        return new Way("cublasLt", "heuristic", math, integers, true, (owned, batch, x, w, y) -> new LightProduct(
                        compute, batch, IN, OUT)
                .ready(context, owned, x, w, y));
    }
}
