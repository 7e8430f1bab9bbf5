package dev.rebias.device.cuda;

import dev.rebias.device.ErrorTotals;
import dev.rebias.op.Convolution;
import dev.rebias.op.LayerOp;
import dev.rebias.op.MatMul;
import dev.rebias.op.Window;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.bytedeco.cuda.global.cudart;

/** How fast a card takes error moments, held against a copy in its own memory that is timed in the same run. */
public final class MomentsSpeed {
    private static final int PART_BYTES = ErrorTotals.SUMS * Double.BYTES;
    private static final int ROUNDS = 5;
    /** Whose outputs have their channels first. */
    private static final LayerOp CONVOLUTION = new Convolution(
            new Window(
                    List.of(1L, 1L), List.of(1L, 1L), List.of(1L, 1L), List.of(0L, 0L, 0L, 0L), Window.AutoPad.NOTSET),
            1);

    private final CudaContext context;
    private final int repeats;

    private MomentsSpeed(CudaContext context, int repeats) {
        this.context = context;
        this.repeats = repeats;
    }

    /**
     * One measurement.
     *
     * @param what the kernels
     * @param shape the tensors'
     * @param microseconds of one call, the median of five rounds, or of the only call
     * @param bytes that it has to read and write
     */
    public record Row(String what, String shape, double microseconds, long bytes) {
        public double gigabytesPerSecond() {
            return bytes / microseconds / 1e3;
        }
    }

    /**
     * Measures a copy on the card, and error moments with their fold and the fold alone.
     *
     * @param ordinal the card
     * @param elements about how many elements tensors have
     * @param repeats calls in a round; 0 for one call of each in all, which a profiler looks at
     * @param rows gets each measurement as it is made, the copy's first
     */
    public static void measure(int ordinal, long elements, int repeats, Consumer<Row> rows) {
        try (CudaContext context = new CudaContext(CudaCards.require(ordinal))) {
            MomentsSpeed speed = new MomentsSpeed(context, repeats);
            speed.copies(elements, rows);
            for (int side : new int[] {112, 56, 28, 14, 7, 1}) {
                // As in MobileNets: the smaller the images, the more channels.
                int channels = side == 1 ? 1024 : Math.min(1024, 64 * 112 / side / 2);
                long batch = Math.max(1, elements / ((long) channels * side * side));
                speed.moments("channels first", 1, rows, batch, channels, side, side);
                speed.moments("channels last", 3, rows, batch, side, side, channels);
            }
            speed.moments("[N, C]", 1, rows, Math.max(1, elements / 1024), 1024);
        }
    }

    private void copies(long elements, Consumer<Row> rows) {
        long bytes = elements * Float.BYTES;
        try (DeviceTensor from = DeviceTensor.allocate(context, ElementType.FLOAT, elements);
                DeviceTensor to = DeviceTensor.allocate(context, ElementType.FLOAT, elements)) {
            context.clear(from.address(), bytes);
            double copy = median(() -> Status.cuda(
                    cudart.cuMemcpyDtoDAsync(to.address(), from.address(), bytes, context.computeStream()),
                    "cuMemcpyDtoDAsync",
                    bytes + " bytes"));
            rows.accept(new Row("copy on the card", Shape.text(new long[] {elements}), copy, 2 * bytes));
        }
    }

    private void moments(String layout, int channelAxis, Consumer<Row> rows, long... shape) {
        int channels = Math.toIntExact(shape[channelAxis]);
        long elements = Shape.elements(shape);
        String text = Shape.text(shape);
        LayerOp op = channelAxis == 1 ? CONVOLUTION : new MatMul();
        try (DeviceTensor error = DeviceTensor.allocate(context, ElementType.FLOAT, shape);
                DeviceTensor output = DeviceTensor.allocate(context, ElementType.FLOAT, shape);
                CudaErrorSums moments = new CudaErrorSums(context, op, channels, false, true)) {
            context.clear(error.address(), elements * Float.BYTES);
            context.clear(output.address(), elements * Float.BYTES);
            double both = median(() -> moments.add(List.of(error, output), Math.toIntExact(shape[0])));
            rows.accept(new Row("moments and fold, " + layout, text, both, 2 * elements * Float.BYTES));
        }
        // The parts that the moments kernel leaves for such tensors: one per sample, channel and piece.
        long inner = elements / shape[0] / channels;
        int perUnit = Math.toIntExact(CudaErrorSums.chunks(inner, channelAxis != 1));
        long partBytes = shape[0] * perUnit * channels * PART_BYTES;
        try (MemoryPool.Block parts = context.pool().allocate(partBytes, "parts of error moments");
                MemoryPool.Block totals = context.pool()
                        .allocate((long) CardErrorTotals.TOTALS * channels * Double.BYTES, "error moments")) {
            context.clear(parts.address(), partBytes);
            context.clear(totals.address(), (long) CardErrorTotals.TOTALS * channels * Double.BYTES);
            double fold = median(() -> CardErrorTotals.fold(
                    context,
                    parts.address(),
                    totals.address(),
                    shape[0],
                    perUnit,
                    channels,
                    inner,
                    Math.toIntExact(shape[0])));
            rows.accept(new Row("fold alone, " + layout, text, fold, partBytes));
        }
    }

    private double median(Runnable call) {
        double first = time(call, 1);
        if (repeats == 0) {
            return first;
        }
        double[] times = new double[ROUNDS];
        for (int i = 0; i < ROUNDS; i++) {
            times[i] = time(call, repeats);
        }
        Arrays.sort(times);
        return times[ROUNDS / 2];
    }

    private double time(Runnable call, int times) {
        long start = System.nanoTime();
        for (int i = 0; i < times; i++) {
            call.run();
        }
        context.synchronise();
        return (System.nanoTime() - start) / 1e3 / times;
    }
}
