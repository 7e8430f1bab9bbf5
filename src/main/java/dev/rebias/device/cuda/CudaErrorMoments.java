package dev.rebias.device.cuda;

import dev.rebias.device.ErrorMoments;
import dev.rebias.device.Moments;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.op.BiasGrid;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.bytedeco.cuda.cudart.CUfunc_st;

/** Error moments by {@code cuda-kernels/error_moments.cu}: sums, totals and the correction stay on the card; results come back once, at the end. */
final class CudaErrorMoments implements ErrorMoments {
    static final String FILE = "error_moments.cu";
    /** As in rebias.cuh: the elements or rows that are summed up at a time. */
    private static final int CHUNK = 8192;

    private static final int FEATURE_ROWS = 256;
    /** Pieces up to this length are a warp's work, longer ones a block's. */
    private static final int WARP_PIECE = 2048;

    private static final int WARPS = Launch.THREADS / 32;
    /** Sums of a part: e, e^2, y_f, y_f^2; and of the totals one more, of squared sample means. */
    private static final int PART = 4;

    private static final int TOTALS = 5;
    private static final int RESULTS = 4;

    private final CudaContext context;
    private final int channels;
    private final BiasGrid grid;
    private final DeviceTensor biases;
    private final MemoryPool.Block totals;
    private final MemoryPool.Block results;
    private final DeviceTensor corrected;
    private Optional<CudaContext.Returned> returned = Optional.empty();
    private Optional<DeviceTensor> correctedView = Optional.empty();
    private long samples;
    private long count;
    /** How many positions a sample of the first batch has; others are weighted to count as many, so that every sample has equal weight. */
    private long usualPositions;

    private boolean closed;

    CudaErrorMoments(CudaContext context, double[] bias, double[] referenceBias, BiasGrid grid) {
        this.context = context;
        this.channels = bias.length;
        this.grid = grid;
        int steps = grid.steps().length;
        // One upload: both biases, the ranges of the steps, the steps.
        HostTensor all = HostTensor.zeros(
                ElementType.UINT8, 2L * (channels + steps) * Double.BYTES + (long) steps * Float.BYTES);
        ByteBuffer bytes = all.bytes();
        for (double b : bias) {
            bytes.putDouble(b);
        }
        for (double b : referenceBias) {
            bytes.putDouble(b);
        }
        for (double l : grid.lowest()) {
            bytes.putDouble(l);
        }
        for (double h : grid.highest()) {
            bytes.putDouble(h);
        }
        for (float s : grid.steps()) {
            bytes.putFloat(s);
        }
        try (Partial made = new Partial()) {
            biases = made.keep(context.upload(all));
            totals = made.keep(context.pool().allocate((long) TOTALS * channels * Double.BYTES, "error moments"));
            results = made.keep(context.pool().allocate(resultBytes(), "corrections"));
            corrected = made.keep(DeviceTensor.allocate(context, ElementType.FLOAT, channels));
            context.clear(totals.address(), (long) TOTALS * channels * Double.BYTES);
            made.complete();
        }
    }

    /** Four doubles per layer, and the corrections. */
    private long resultBytes() {
        return (long) RESULTS * Double.BYTES + (long) channels * Float.BYTES;
    }

    @Override
    public void addError(Tensor error, Tensor output, int channelAxis, int batch, int samples) {
        add((DeviceTensor) error, (DeviceTensor) output, channelAxis, samples, 0);
    }

    @Override
    public void addOutputs(Tensor reference, Tensor output, int channelAxis, int batch, int samples) {
        add((DeviceTensor) reference, (DeviceTensor) output, channelAxis, samples, 1);
    }

    private void add(DeviceTensor first, DeviceTensor output, int channelAxis, int batch, int difference) {
        long[] shape = output.shape();
        if (!Arrays.equals(first.shape(), shape) || shape[channelAxis] != channels) {
            throw new IllegalArgumentException("error moments over " + channels + " channels along axis " + channelAxis
                    + " got tensors of shape " + Shape.text(first.shape()) + " and " + Shape.text(shape));
        }
        if (output.elements() == 0) {
            return;
        }
        // Axis 0 may hold several rows per sample; where it is no multiple of the batch, its rows do not belong to
        // samples one by one.
        long units = channelAxis > 0 && shape[0] % batch == 0 ? batch : 1;
        long rows = Shape.elements(shape, 0, channelAxis) / units;
        long inner = Shape.elements(shape, channelAxis + 1, shape.length);
        long length = inner == 1 ? rows : inner;
        usualPositions = usualPositions == 0 ? rows * inner : usualPositions;
        int chunks = Math.toIntExact(chunks(length, inner == 1));
        long perUnit = inner == 1 ? chunks : rows * chunks;
        long pieces = units * perUnit * channels;
        try (MemoryPool.Block parts =
                context.pool().allocate(pieces * PART * Double.BYTES, "error moments of a batch")) {
            Launch arguments = context.arguments()
                    .pointer(first.address())
                    .pointer(output.address())
                    .pointer(biases.address())
                    .pointer(biases.address() + (long) channels * Double.BYTES)
                    .pointer(parts.address());
            if (inner == 1) {
                arguments
                        .integer(units)
                        .integer(rows)
                        .small(channels)
                        .small(chunks)
                        .small(difference)
                        .over(kernel("error_moments_features"), "error_moments_features", pieces);
            } else if (length <= WARP_PIECE) {
                arguments
                        .integer(pieces)
                        .small(channels)
                        .integer(inner)
                        .small(chunks)
                        .small(difference)
                        .blocks(kernel("error_moments_warp"), "error_moments_warp", (pieces + WARPS - 1) / WARPS);
            } else {
                arguments
                        .small(channels)
                        .integer(inner)
                        .small(chunks)
                        .small(difference)
                        .blocks(kernel("error_moments_block"), "error_moments_block", pieces);
            }
            context.arguments()
                    .pointer(parts.address())
                    .pointer(totals.address())
                    .integer(units)
                    .small(perUnit)
                    .small(channels)
                    .real((double) rows * inner)
                    .real((double) batch / units)
                    .real((double) usualPositions / (rows * inner))
                    .over(kernel("error_moments_fold"), "error_moments_fold", channels);
        }
        samples += batch;
        count += units * usualPositions;
    }

    private static long chunks(long length, boolean features) {
        int chunk = features ? FEATURE_ROWS : CHUNK;
        return (length + chunk - 1) / chunk;
    }

    private CUfunc_st kernel(String name) {
        return context.kernel(FILE, name);
    }

    @Override
    public void solve() {
        long bias = biases.address();
        context.arguments()
                .pointer(totals.address())
                .pointer(bias)
                .pointer(bias + 2L * channels * Double.BYTES)
                .small(form())
                .pointer(results.address() + (long) RESULTS * Double.BYTES)
                .pointer(corrected.address())
                .pointer(results.address())
                .small(channels)
                .real((double) count)
                .blocks(kernel("error_moments_solve"), "error_moments_solve", 1);
        returned = Optional.of(context.bring(results.address(), resultBytes()));
    }

    /** The form of the bias's storage as the kernel numbers it. */
    private int form() {
        return switch (grid.form()) {
            case FLOAT -> 0;
            case FLOAT16 -> 1;
            case STEPS -> 2;
        };
    }

    private CudaContext.Returned solved() {
        return returned.orElseThrow(() -> new IllegalStateException("error moments are used before they were solved"));
    }

    @Override
    public Tensor correctedBias(long... shape) {
        solved();
        if (correctedView.isEmpty()) {
            correctedView = Optional.of(corrected.reshape(shape));
        }
        return correctedView.get();
    }

    @Override
    public Moments read(boolean perChannel) {
        ByteBuffer bytes = solved().get();
        double mseBefore = bytes.getDouble();
        double mseAfter = bytes.getDouble();
        double squaredBias = bytes.getDouble();
        double signalPower = bytes.getDouble();
        float[] delta = new float[channels];
        bytes.asFloatBuffer().get(delta);
        List<Integer> kept = new ArrayList<>();
        for (int c = 0; c < channels; c++) {
            if (Float.isInfinite(delta[c])) {
                kept.add(c);
                delta[c] = 0;
            }
        }
        return new Moments(
                samples,
                delta,
                kept,
                Optional.of(new Moments.Errors(mseBefore, mseAfter, squaredBias, signalPower)),
                perChannel ? Optional.of(readChannels()) : Optional.empty());
    }

    private Moments.PerChannel readChannels() {
        try (CudaContext.Returned all = context.bring(totals.address(), (long) TOTALS * channels * Double.BYTES)) {
            ByteBuffer bytes = all.get();
            double[][] sums = new double[TOTALS][channels];
            for (double[] sum : sums) {
                for (int c = 0; c < channels; c++) {
                    sum[c] = bytes.getDouble();
                }
            }
            for (int c = 0; c < channels; c++) {
                sums[0][c] /= count;
                sums[2][c] /= count;
                sums[4][c] /= samples;
            }
            return new Moments.PerChannel(sums[0], sums[2], sums[4]);
        }
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        Resources all = new Resources();
        all.add(biases::close);
        all.add(totals::close);
        all.add(results::close);
        all.add(corrected::close);
        correctedView.ifPresent(v -> all.add(v::close));
        returned.ifPresent(r -> all.add(r::close));
        all.close();
    }
}
