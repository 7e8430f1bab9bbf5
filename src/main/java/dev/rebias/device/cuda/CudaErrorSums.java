package dev.rebias.device.cuda;

import dev.rebias.device.ErrorSums;
import dev.rebias.device.ErrorTotals;
import dev.rebias.device.Tensor;
import dev.rebias.op.LayerOp;
import dev.rebias.tensor.Shape;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.cuda.cudart.CUfunc_st;

/**
 * Error sums by {@code cuda-kernels/error_moments.cu}: sums and totals stay on the card until the host asks for the
 * totals.
 */
final class CudaErrorSums implements ErrorSums {
    static final String FILE = "error_moments.cu";
    /** The elements, or rows of features, that are summed up at a time. */
    private static final int CHUNK = Compiler.constant("CHUNK");

    private static final int FEATURE_ROWS = Compiler.constant("FEATURE_ROWS");
    /** Pieces up to this length are a warp's work, longer ones a block's. */
    private static final int WARP_PIECE = 2048;

    private static final int WARPS = Launch.THREADS / 32;

    private final CudaContext context;
    private final LayerOp op;
    private final int channels;
    private final boolean difference;
    private final boolean perSample;
    private final CardErrorTotals totals;

    /** Parameters as for {@link dev.rebias.device.Device#errorSums}. */
    CudaErrorSums(CudaContext context, LayerOp op, int channels, boolean difference, boolean perSample) {
        this.context = context;
        this.op = op;
        this.channels = channels;
        this.difference = difference;
        this.perSample = perSample;
        this.totals = new CardErrorTotals(context, channels);
        context.kernels().expect(FILE);
    }

    @Override
    public void add(List<Tensor> tensors, int samples) {
        DeviceTensor first = (DeviceTensor) tensors.get(0);
        DeviceTensor output = (DeviceTensor) tensors.get(1);
        long[] shape = output.shape();
        int axis = op.channelAxis(shape.length);
        if (!Arrays.equals(first.shape(), shape) || shape[axis] != channels) {
            throw new IllegalArgumentException("error sums over " + channels + " channels along axis " + axis
                    + " got tensors of shape " + Shape.text(first.shape()) + " and " + Shape.text(shape));
        }
        if (output.elements() == 0) {
            return;
        }
        // Axis 0 may hold several rows per sample; where it is no multiple of the batch, its rows do not belong to
        // samples one by one.
        long units = axis > 0 ? ErrorTotals.units(shape[0], samples) : 1;
        long rows = Shape.elements(shape, 0, axis) / units;
        long inner = Shape.elements(shape, axis + 1, shape.length);
        long length = inner == 1 ? rows : inner;
        int chunks = Math.toIntExact(chunks(length, inner == 1));
        long perUnit = inner == 1 ? chunks : rows * chunks;
        long pieces = units * perUnit * channels;
        try (MemoryPool.Block parts =
                context.pool().allocate(pieces * ErrorTotals.SUMS * Double.BYTES, "error sums of a batch")) {
            Launch arguments = context.arguments()
                    .pointer(first.address())
                    .pointer(output.address())
                    .pointer(parts.address());
            if (inner == 1) {
                arguments
                        .int64(units)
                        .int64(rows)
                        .int32(channels)
                        .int32(chunks)
                        .int32(difference ? 1 : 0)
                        .over(kernel("error_moments_features"), "error_moments_features", pieces);
            } else if (length <= WARP_PIECE) {
                arguments
                        .int64(pieces)
                        .int32(channels)
                        .int64(inner)
                        .int32(chunks)
                        .int32(difference ? 1 : 0)
                        .blocks(kernel("error_moments_warp"), "error_moments_warp", (pieces + WARPS - 1) / WARPS);
            } else {
                arguments
                        .int32(channels)
                        .int64(inner)
                        .int32(chunks)
                        .int32(difference ? 1 : 0)
                        .blocks(kernel("error_moments_block"), "error_moments_block", pieces);
            }
            totals.add(parts.address(), units, perUnit, rows * inner, samples);
        }
    }

    /** How many pieces a length is summed up in. */
    static long chunks(long length, boolean features) {
        int chunk = features ? FEATURE_ROWS : CHUNK;
        return (length + chunk - 1) / chunk;
    }

    private CUfunc_st kernel(String name) {
        return context.kernel(FILE, name);
    }

    @Override
    public void bring() {
        totals.bring();
    }

    @Override
    public ErrorTotals totals() {
        return totals.totals(perSample);
    }

    @Override
    public void close() {
        totals.close();
    }
}
