package dev.rebias.device.cuda;

import dev.rebias.device.Resources;
import dev.rebias.tensor.ElementType;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.bytedeco.cuda.cudnn.cudnnConvolutionStruct;
import org.bytedeco.cuda.cudnn.cudnnFilterStruct;
import org.bytedeco.cuda.cudnn.cudnnTensorStruct;
import org.bytedeco.cuda.global.cudnn;
import org.bytedeco.javacpp.SizeTPointer;

/**
 * Asks a card's cuDNN for every kind of convolution by every algorithm, its cuBLAS and cuBLASLt for products, and looks
 * at what comes back. The descriptors are cuDNN's older interface, as in {@link ConvolutionDescriptors}.
 */
@SuppressWarnings("deprecation")
public final class LibraryProbe implements AutoCloseable {
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

    /** The algorithms of a direction, in the order of cuDNN's numbers. */
    public static List<String> algorithms(String direction) {
        return direction.equals("backward") ? BACKWARD : FORWARD;
    }

    private final CudaContext context;
    private final boolean emulated;
    private final Predicate<String> wanted;
    private final Consumer<ProbeRow> rows;
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
    public LibraryProbe(int ordinal, Predicate<String> wanted, Consumer<ProbeRow> rows) {
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
        new ProductProbe(context, emulated, wanted, rows).run(batches);
    }

    private record Outcome(int status, String stage, float[] first, float[] last, double milliseconds) {}

    private void convolution(ProbeCase one, String name, int algorithm, Arithmetic arithmetic, int batch) {
        ProbeRow asked = ProbeRow.asked("cudnn", one.kind(), one.direction(), name, arithmetic.name(), batch);
        if (!wanted.test(asked.key())) {
            return;
        }
        Random random = new Random(5);
        float[] integers = ProbeData.integers(random, one.transposed() ? one.yElements() : one.xElements(), LARGEST);
        float[] integerWeights = ProbeData.integers(random, one.weights(), LARGEST_WEIGHT);
        Outcome exact = call(one, algorithm, arithmetic, batch, integers, integerWeights);
        if (exact.status() != cudnn.CUDNN_STATUS_SUCCESS) {
            rows.accept(asked.refused(status(exact.status())));
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
                    ProbeData.reals(random, integers.length),
                    ProbeData.reals(random, integerWeights.length));
            String key = asked.kind() + asked.direction() + name + arithmetic;
            if (real.status() == cudnn.CUDNN_STATUS_SUCCESS) {
                float[] single = alone.computeIfAbsent(key, k -> real.first());
                same = Arrays.equals(single, real.first()) && Arrays.equals(single, real.last());
            }
        }
        rows.accept(asked.done(exact.milliseconds(), isExact, same));
    }

    private static String status(int code) {
        return cudnn.cudnnGetErrorString(code).getString().replace("CUDNN_STATUS_", "");
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
                DeviceTensor data = ProbeData.upload(
                        context, bytes ? last(sample, dataChannels, ProbeCase.product(inner)) : sample, batch, bytes);
                DeviceTensor weights = ProbeData.upload(
                        context,
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
                float[] first = ProbeData.floats(context, result, 0, results);
                float[] lastRow = ProbeData.floats(context, result, (long) (batch - 1) * results, results);
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

    @Override
    public void close() {
        context.close();
    }
}
