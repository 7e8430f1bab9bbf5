package dev.rebias.device.cuda;

import dev.rebias.device.Resources;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.bytedeco.cuda.cudnn.cudnnConvolutionStruct;
import org.bytedeco.cuda.cudnn.cudnnFilterStruct;
import org.bytedeco.cuda.cudnn.cudnnTensorStruct;
import org.bytedeco.cuda.global.cublas;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.cuda.global.cudnn;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.SizeTPointer;

/**
 * Asks cuDNN and cuBLAS of a card for every kind of convolution and product by every algorithm, and looks at what comes back. The descriptors are cuDNN's
 * older interface, as in {@link ConvolutionDescriptors}.
 */
@SuppressWarnings("deprecation")
public final class LibraryProbe implements AutoCloseable {
    /** As the table's head names them. */
    public static final List<String> COLUMNS =
            List.of("library", "kind", "direction", "algorithm", "math", "batch", "status", "ms", "exact", "same_bits");

    private static final List<String> FORWARD = List.of(
            "IMPLICIT_GEMM",
            "IMPLICIT_PRECOMP_GEMM",
            "GEMM",
            "DIRECT",
            "FFT",
            "FFT_TILING",
            "WINOGRAD",
            "WINOGRAD_NONFUSED");
    private static final List<String> BACKWARD =
            List.of("ALGO_0", "ALGO_1", "FFT", "FFT_TILING", "WINOGRAD", "WINOGRAD_NONFUSED");
    /** Largest values of integers: their sums of products stay below 2^24. */
    private static final int LARGEST = 100;

    private static final int LARGEST_WEIGHT = 7;
    private static final int TIMED = 3;

    /** How sums are formed. */
    private enum Arithmetic {
        FMA(cudnn.CUDNN_FMA_MATH),
        TF32(cudnn.CUDNN_TENSOR_OP_MATH),
        INT8(cudnn.CUDNN_TENSOR_OP_MATH);

        private final int type;

        Arithmetic(int type) {
            this.type = type;
        }
    }

    /**
     * One line of the table.
     *
     * @param kind what is special about the convolution or the product
     * @param direction {@code forward}, {@code backward}, {@code product}
     * @param status what the library answered: {@code SUCCESS}, or its name of the refusal
     * @param milliseconds of one call; empty if it was refused
     * @param exact whether sums of 8-bit integers are exact
     * @param sameBits whether a sample's values are those that it has alone, in the first row and the last, bit for bit
     */
    public record Row(
            String library,
            String kind,
            String direction,
            String algorithm,
            String math,
            int batch,
            String status,
            Optional<Double> milliseconds,
            Optional<Boolean> exact,
            Optional<Boolean> sameBits) {
        /** What it is, without what came out. */
        public String key() {
            return String.join("\t", library, kind, direction, algorithm, math, Integer.toString(batch));
        }

        /** As a line of the table. */
        public String line() {
            return String.join(
                    "\t",
                    key(),
                    status,
                    milliseconds.map(m -> String.format(Locale.ROOT, "%.4f", m)).orElse("-"),
                    exact.map(LibraryProbe::yes).orElse("-"),
                    sameBits.map(LibraryProbe::yes).orElse("-"));
        }
    }

    /** The algorithms of a direction, in the order of cuDNN's numbers. */
    public static List<String> algorithms(String direction) {
        return direction.equals("backward") ? BACKWARD : FORWARD;
    }

    private static String yes(boolean b) {
        return b ? "yes" : "no";
    }

    private final CudaContext context;
    private final boolean emulated;
    private final Predicate<String> wanted;
    private final Consumer<Row> rows;
    /** What one sample alone gave, by what was asked. */
    private final Map<String, float[]> alone = new HashMap<>();
    /** What the integers of each convolution give, which do not depend on the algorithm. */
    private final Map<ProbeCase, double[]> sums = new HashMap<>();

    /**
     * A probe of a card.
     *
     * @param wanted told each row's key just before it is tried; false passes it over
     * @param rows gets the rows as they come
     */
    public LibraryProbe(int ordinal, Predicate<String> wanted, Consumer<Row> rows) {
        CudaCards.Card card = CudaCards.require(ordinal);
        this.emulated = card.emulated();
        this.context = new CudaContext(card);
        this.wanted = wanted;
        this.rows = rows;
    }

    /** Tries everything. */
    public void run(List<Integer> batches) {
        for (ProbeCase one : ProbeCase.ALL) {
            List<String> algorithms = algorithms(one.direction());
            for (Arithmetic arithmetic : Arithmetic.values()) {
                for (int algorithm = 0; algorithm < algorithms.size(); algorithm++) {
                    for (int batch : batches) {
                        convolution(one, algorithms.get(algorithm), algorithm, arithmetic, batch);
                    }
                }
            }
        }
        for (int batch : batches) {
            product("FMA", cublas.CUBLAS_DEFAULT_MATH, batch);
        }
        // The emulator takes TF32 for a mistake, and has no products of bytes.
        if (!emulated) {
            for (int batch : batches) {
                product("TF32", cublas.CUBLAS_TF32_TENSOR_OP_MATH, batch);
            }
            for (int batch : batches) {
                byteProduct(batch);
            }
        }
    }

    private record Outcome(int status, String stage, float[] first, float[] last, double milliseconds) {}

    private void convolution(ProbeCase one, String name, int algorithm, Arithmetic arithmetic, int batch) {
        Row asked = new Row(
                "cudnn",
                one.kind(),
                one.direction(),
                name,
                arithmetic.name(),
                batch,
                "",
                Optional.empty(),
                Optional.empty(),
                Optional.empty());
        if (!wanted.test(asked.key())) {
            return;
        }
        Random random = new Random(5);
        float[] integers = integers(random, one.transposed() ? one.yElements() : one.xElements(), LARGEST);
        float[] integerWeights = integers(random, one.weights(), LARGEST_WEIGHT);
        Outcome exact = call(one, algorithm, arithmetic, batch, integers, integerWeights);
        if (exact.status() != cudnn.CUDNN_STATUS_SUCCESS) {
            rows.accept(refused(asked, status(exact.status())));
            return;
        }
        double[] expected = sums.computeIfAbsent(one, c -> c.expected(integers, integerWeights));
        boolean isExact = true;
        for (int i = 0; i < expected.length; i++) {
            isExact &= exact.first()[i] == expected[i] && exact.last()[i] == expected[i];
        }
        boolean same = true;
        if (arithmetic == Arithmetic.INT8) {
            same = Arrays.equals(exact.first(), exact.last());
        } else {
            Outcome real = call(
                    one,
                    algorithm,
                    arithmetic,
                    batch,
                    reals(random, integers.length),
                    reals(random, integerWeights.length));
            String key = asked.kind() + asked.direction() + name + arithmetic;
            if (real.status() == cudnn.CUDNN_STATUS_SUCCESS) {
                float[] single = alone.computeIfAbsent(key, k -> real.first());
                same = Arrays.equals(single, real.first()) && Arrays.equals(single, real.last());
            }
        }
        rows.accept(done(asked, exact.milliseconds(), isExact, same));
    }

    private static Row refused(Row asked, String status) {
        return new Row(
                asked.library(),
                asked.kind(),
                asked.direction(),
                asked.algorithm(),
                asked.math(),
                asked.batch(),
                status,
                Optional.empty(),
                Optional.empty(),
                Optional.empty());
    }

    private static Row done(Row asked, double milliseconds, boolean exact, boolean same) {
        return new Row(
                asked.library(),
                asked.kind(),
                asked.direction(),
                asked.algorithm(),
                asked.math(),
                asked.batch(),
                "SUCCESS",
                Optional.of(milliseconds),
                Optional.of(exact),
                Optional.of(same));
    }

    private static String status(int code) {
        return cudnn.cudnnGetErrorString(code).getString().replace("CUDNN_STATUS_", "");
    }

    private static float[] integers(Random random, int n, int largest) {
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            values[i] = random.nextInt(2 * largest + 1) - largest;
        }
        return values;
    }

    private static float[] reals(Random random, int n) {
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    /** One sample, {@code batch} times, through one algorithm. */
    private Outcome call(ProbeCase one, int algorithm, Arithmetic arithmetic, int batch, float[] sample, float[] w) {
        boolean bytes = arithmetic == Arithmetic.INT8;
        int[] inner = one.transposed() ? one.out() : one.in();
        int[] outer = one.transposed() ? one.in() : one.out();
        int dataChannels = one.transposed() ? one.filters() : one.channels();
        int resultChannels = one.transposed() ? one.channels() : one.filters();
        int results = one.transposed() ? one.xElements() : one.yElements();
        try (Resources owned = new Resources();
                DeviceTensor data =
                        upload(bytes ? last(sample, dataChannels, ProbeCase.product(inner)) : sample, batch, bytes);
                DeviceTensor weights = upload(
                        bytes
                                ? last(w, one.channels() / one.groups(), ProbeCase.product(one.kernel()), one.filters())
                                : w,
                        1,
                        bytes);
                DeviceTensor result = DeviceTensor.allocate(context, ElementType.FLOAT, (long) batch * results);
                SizeTPointer workspace = new SizeTPointer(1)) {
            Descriptors d = new Descriptors(owned);
            int type = bytes ? cudnn.CUDNN_DATA_INT8 : cudnn.CUDNN_DATA_FLOAT;
            int xType = one.transposed() ? cudnn.CUDNN_DATA_FLOAT : type;
            int yType = one.transposed() ? type : cudnn.CUDNN_DATA_FLOAT;
            int status = d.set(one, arithmetic, batch, type, xType, yType, bytes);
            if (status != cudnn.CUDNN_STATUS_SUCCESS) {
                return new Outcome(status, "descriptors", new float[0], new float[0], 0);
            }
            status = one.transposed()
                    ? cudnn.cudnnGetConvolutionBackwardDataWorkspaceSize(
                            context.cudnn(), d.w, d.y, d.convolution, d.x, algorithm, workspace)
                    : cudnn.cudnnGetConvolutionForwardWorkspaceSize(
                            context.cudnn(), d.x, d.w, d.convolution, d.y, algorithm, workspace);
            if (status != cudnn.CUDNN_STATUS_SUCCESS) {
                return new Outcome(status, "workspace", new float[0], new float[0], 0);
            }
            try (MemoryPool.Block space = context.pool().allocate(workspace.get(), "cuDNN's workspace")) {
                double[] times = new double[TIMED];
                for (int i = -1; i < TIMED; i++) {
                    context.synchronise();
                    long start = System.nanoTime();
                    status = one.transposed()
                            ? cudnn.cudnnConvolutionBackwardData(
                                    context.cudnn(),
                                    context.one(),
                                    d.w,
                                    new Address(weights.address()),
                                    d.y,
                                    new Address(data.address()),
                                    d.convolution,
                                    algorithm,
                                    new Address(space.address()),
                                    workspace.get(),
                                    context.zero(),
                                    d.x,
                                    new Address(result.address()))
                            : cudnn.cudnnConvolutionForward(
                                    context.cudnn(),
                                    context.one(),
                                    d.x,
                                    new Address(data.address()),
                                    d.w,
                                    new Address(weights.address()),
                                    d.convolution,
                                    algorithm,
                                    new Address(space.address()),
                                    workspace.get(),
                                    context.zero(),
                                    d.y,
                                    new Address(result.address()));
                    if (status != cudnn.CUDNN_STATUS_SUCCESS) {
                        return new Outcome(status, "call", new float[0], new float[0], 0);
                    }
                    context.synchronise();
                    // The first call may load and compile; the emulator's time says nothing.
                    if (i >= 0) {
                        times[i] = (System.nanoTime() - start) / 1e6;
                    } else if (emulated) {
                        break;
                    }
                }
                Arrays.sort(times);
                float[] first = part(result, 0, results);
                float[] lastRow = part(result, (long) (batch - 1) * results, results);
                int spatial = ProbeCase.product(outer);
                return new Outcome(
                        status,
                        "call",
                        bytes ? first(first, resultChannels, spatial) : first,
                        bytes ? first(lastRow, resultChannels, spatial) : lastRow,
                        times[TIMED / 2]);
            }
        }
    }

    /** [C, spatial] to [spatial, C], as NHWC has it; so also each filter. */
    private static float[] last(float[] values, int channels, int spatial) {
        return last(values, channels, spatial, 1);
    }

    private static float[] last(float[] values, int channels, int spatial, int filters) {
        float[] moved = new float[values.length];
        for (int f = 0; f < filters; f++) {
            for (int c = 0; c < channels; c++) {
                for (int s = 0; s < spatial; s++) {
                    moved[(f * spatial + s) * channels + c] = values[(f * channels + c) * spatial + s];
                }
            }
        }
        return moved;
    }

    private static float[] first(float[] values, int channels, int spatial) {
        return last(values, /* channels= */ spatial, /* spatial= */ channels);
    }

    private DeviceTensor upload(float[] sample, int batch, boolean bytes) {
        if (!bytes) {
            float[] all = new float[sample.length * batch];
            for (int n = 0; n < batch; n++) {
                System.arraycopy(sample, 0, all, n * sample.length, sample.length);
            }
            return context.upload(HostTensor.of(all, all.length));
        }
        HostTensor all = HostTensor.zeros(ElementType.INT8, (long) sample.length * batch);
        ByteBuffer to = all.bytes();
        for (int i = 0; i < sample.length * batch; i++) {
            to.put(i, (byte) sample[i % sample.length]);
        }
        return context.upload(all);
    }

    private float[] part(DeviceTensor from, long offset, int n) {
        float[] values = new float[n];
        try (CudaContext.Returned back = context.bring(from.address() + offset * Float.BYTES, (long) n * Float.BYTES)) {
            back.get().asFloatBuffer().get(values);
        }
        return values;
    }

    /** cuDNN's descriptors, whose statuses are what is asked for. */
    private static final class Descriptors {
        private final cudnnTensorStruct x = new cudnnTensorStruct();
        private final cudnnTensorStruct y = new cudnnTensorStruct();
        private final cudnnFilterStruct w = new cudnnFilterStruct();
        private final cudnnConvolutionStruct convolution = new cudnnConvolutionStruct();

        Descriptors(Resources owned) {
            for (cudnnTensorStruct t : List.of(x, y)) {
                Status.cudnn(cudnn.cudnnCreateTensorDescriptor(t), "cudnnCreateTensorDescriptor", "");
                owned.add(
                        () -> Status.cudnn(cudnn.cudnnDestroyTensorDescriptor(t), "cudnnDestroyTensorDescriptor", ""));
            }
            Status.cudnn(cudnn.cudnnCreateFilterDescriptor(w), "cudnnCreateFilterDescriptor", "");
            owned.add(() -> Status.cudnn(cudnn.cudnnDestroyFilterDescriptor(w), "cudnnDestroyFilterDescriptor", ""));
            Status.cudnn(cudnn.cudnnCreateConvolutionDescriptor(convolution), "cudnnCreateConvolutionDescriptor", "");
            owned.add(() -> Status.cudnn(
                    cudnn.cudnnDestroyConvolutionDescriptor(convolution), "cudnnDestroyConvolutionDescriptor", ""));
        }

        int set(ProbeCase one, Arithmetic arithmetic, int batch, int wType, int xType, int yType, boolean last) {
            int rank = one.in().length + 2;
            int[] pads = new int[rank - 2];
            int[] strides = new int[rank - 2];
            int[] dilations = new int[rank - 2];
            Arrays.fill(pads, one.pad());
            Arrays.fill(strides, one.stride());
            Arrays.fill(dilations, one.dilation());
            int[] filter = dims(one.filters(), one.channels() / one.groups(), one.kernel());
            int format = last ? cudnn.CUDNN_TENSOR_NHWC : cudnn.CUDNN_TENSOR_NCHW;
            int compute = arithmetic == Arithmetic.INT8 ? cudnn.CUDNN_DATA_INT32 : cudnn.CUDNN_DATA_FLOAT;
            int status = tensor(x, xType, dims(batch, one.channels(), one.in()), last);
            status = status != 0 ? status : tensor(y, yType, dims(batch, one.filters(), one.out()), last);
            status = status != 0 ? status : cudnn.cudnnSetFilterNdDescriptor(w, wType, format, rank, filter);
            status = status != 0
                    ? status
                    : cudnn.cudnnSetConvolutionNdDescriptor(
                            convolution, rank - 2, pads, strides, dilations, cudnn.CUDNN_CROSS_CORRELATION, compute);
            status = status != 0 ? status : cudnn.cudnnSetConvolutionGroupCount(convolution, one.groups());
            return status != 0 ? status : cudnn.cudnnSetConvolutionMathType(convolution, arithmetic.type);
        }

        private static int[] dims(int first, int second, int[] spatial) {
            int[] all = new int[spatial.length + 2];
            all[0] = first;
            all[1] = second;
            System.arraycopy(spatial, 0, all, 2, spatial.length);
            return all;
        }

        private static int tensor(cudnnTensorStruct t, int type, int[] dims, boolean last) {
            int[] strides = new int[dims.length];
            int step = last ? dims[1] : 1;
            for (int i = dims.length - 1; i >= 2; i--) {
                strides[i] = step;
                step *= dims[i];
            }
            strides[1] = last ? 1 : step;
            strides[0] = last ? step : step * dims[1];
            return cudnn.cudnnSetTensorNdDescriptor(t, type, dims.length, dims, strides);
        }
    }

    /** y [batch, 96] = x [batch, 160] w, as rebias asks cuBLAS for it. */
    private void product(String math, int mode, int batch) {
        Row asked = new Row(
                "cublas",
                "matrix",
                "product",
                "default",
                math,
                batch,
                "",
                Optional.empty(),
                Optional.empty(),
                Optional.empty());
        if (!wanted.test(asked.key())) {
            return;
        }
        int in = 160;
        int out = 96;
        Random random = new Random(7);
        float[] x = integers(random, in, LARGEST);
        float[] w = integers(random, in * out, LARGEST_WEIGHT);
        double[] expected = new double[out];
        for (int o = 0; o < out; o++) {
            for (int i = 0; i < in; i++) {
                expected[o] += (double) x[i] * w[i * out + o];
            }
        }
        Status.cublas(cublas.cublasSetMathMode(context.cublas(), mode), "cublasSetMathMode", math);
        try {
            Outcome integers = gemm(x, w, batch, in, out);
            if (integers.status() != cublas.CUBLAS_STATUS_SUCCESS) {
                rows.accept(refused(
                        asked, cublas.cublasGetStatusString(integers.status()).getString()));
                return;
            }
            boolean exact = true;
            for (int o = 0; o < out; o++) {
                exact &= integers.first()[o] == expected[o] && integers.last()[o] == expected[o];
            }
            Outcome real = gemm(reals(random, in), reals(random, in * out), batch, in, out);
            float[] single = alone.computeIfAbsent("product" + math, k -> real.first());
            rows.accept(done(
                    asked,
                    integers.milliseconds(),
                    exact,
                    Arrays.equals(single, real.first()) && Arrays.equals(single, real.last())));
        } finally {
            Status.cublas(
                    cublas.cublasSetMathMode(context.cublas(), cublas.CUBLAS_DEFAULT_MATH), "cublasSetMathMode", "");
        }
    }

    private Outcome gemm(float[] x, float[] w, int batch, int in, int out) {
        try (DeviceTensor data = upload(x, batch, false);
                DeviceTensor weights = upload(w, 1, false);
                DeviceTensor y = DeviceTensor.allocate(context, ElementType.FLOAT, batch, out)) {
            double[] times = new double[TIMED];
            for (int i = -1; i < TIMED; i++) {
                context.synchronise();
                long start = System.nanoTime();
                int status = cublas.cublasSgemm_v2(
                        context.cublas(),
                        cublas.CUBLAS_OP_N,
                        cublas.CUBLAS_OP_N,
                        out,
                        batch,
                        in,
                        context.one(),
                        new org.bytedeco.javacpp.FloatPointer(new Address(weights.address())),
                        out,
                        new org.bytedeco.javacpp.FloatPointer(new Address(data.address())),
                        in,
                        context.zero(),
                        new org.bytedeco.javacpp.FloatPointer(new Address(y.address())),
                        out);
                if (status != cublas.CUBLAS_STATUS_SUCCESS) {
                    return new Outcome(status, "call", new float[0], new float[0], 0);
                }
                context.synchronise();
                times[Math.max(i, 0)] = (System.nanoTime() - start) / 1e6;
            }
            Arrays.sort(times);
            return new Outcome(0, "call", part(y, 0, out), part(y, (long) (batch - 1) * out, out), times[TIMED / 2]);
        }
    }

    /** int32 y [batch, 96] = int8 x [batch, 160] w: what integer layers would use. */
    private void byteProduct(int batch) {
        Row asked = new Row(
                "cublas",
                "matrix",
                "product",
                "GemmEx",
                "INT8",
                batch,
                "",
                Optional.empty(),
                Optional.empty(),
                Optional.empty());
        if (!wanted.test(asked.key())) {
            return;
        }
        int in = 160;
        int out = 96;
        Random random = new Random(9);
        float[] x = integers(random, in, LARGEST);
        float[] w = integers(random, in * out, LARGEST_WEIGHT);
        try (DeviceTensor data = upload(x, batch, true);
                DeviceTensor weights = upload(w, 1, true);
                DeviceTensor y = DeviceTensor.allocate(context, ElementType.FLOAT, batch, out);
                IntPointer one = new IntPointer(1);
                IntPointer zero = new IntPointer(1)) {
            one.put(1);
            zero.put(0);
            context.synchronise();
            long start = System.nanoTime();
            int status = cublas.cublasGemmEx(
                    context.cublas(),
                    cublas.CUBLAS_OP_N,
                    cublas.CUBLAS_OP_N,
                    out,
                    batch,
                    in,
                    one,
                    new Address(weights.address()),
                    cudart.CUDA_R_8I,
                    out,
                    new Address(data.address()),
                    cudart.CUDA_R_8I,
                    in,
                    zero,
                    new Address(y.address()),
                    cudart.CUDA_R_32I,
                    out,
                    cublas.CUBLAS_COMPUTE_32I,
                    cublas.CUBLAS_GEMM_DEFAULT);
            if (status != cublas.CUBLAS_STATUS_SUCCESS) {
                rows.accept(refused(asked, cublas.cublasGetStatusString(status).getString()));
                return;
            }
            context.synchronise();
            double milliseconds = (System.nanoTime() - start) / 1e6;
            boolean exact = true;
            float[] raw = part(y, (long) (batch - 1) * out, out);
            for (int o = 0; o < out; o++) {
                long sum = 0;
                for (int i = 0; i < in; i++) {
                    sum += ((long) x[i]) * ((long) w[i * out + o]);
                }
                exact &= Float.floatToRawIntBits(raw[o]) == sum;
            }
            rows.accept(done(asked, milliseconds, exact, exact));
        }
    }

    @Override
    public void close() {
        context.close();
    }
}
