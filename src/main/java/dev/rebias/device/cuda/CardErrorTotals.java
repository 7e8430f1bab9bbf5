package dev.rebias.device.cuda;

import dev.rebias.device.ErrorTotals;
import dev.rebias.device.Resources;
import java.util.Map;
import java.util.TreeMap;

/** The totals of error sums, on the card until the host asks for them, and how the sums of pieces are added to them. */
final class CardErrorTotals implements AutoCloseable {
    private static final int FOLD_CHANNELS = Compiler.constant(CudaErrorSums.FILE, "FOLD_CHANNELS");
    /** The sums, and one more of squared sample means. */
    static final int TOTALS = ErrorTotals.SUMS + 1;

    private final CudaContext context;
    private final int channels;
    /** By the number of positions that a unit of samples has. */
    private final Map<Long, CardTotals> byPositions = new TreeMap<>();

    CardErrorTotals(CudaContext context, int channels) {
        this.context = context;
        this.channels = channels;
    }

    /**
     * Adds a batch's parts.
     *
     * @param parts the address of [units, perUnit, channels, 4]
     * @param positions of a unit and channel
     */
    void add(long parts, long units, long perUnit, long positions, int samples) {
        CardTotals totals = byPositions.computeIfAbsent(
                positions, p -> new CardTotals(context, (long) TOTALS * channels, "error sums"));
        fold(context, parts, totals.address(), units, perUnit, channels, positions, samples);
        totals.count(units, samples);
    }

    /**
     * The kernel that adds parts to totals.
     *
     * @param totals the address of [5, channels]
     */
    static void fold(
            CudaContext context,
            long parts,
            long totals,
            long units,
            long perUnit,
            int channels,
            long positions,
            int samples) {
        context.arguments()
                .pointer(parts)
                .pointer(totals)
                .int64(units)
                .int32(perUnit)
                .int32(channels)
                .float64((double) positions)
                .float64((double) samples / units)
                .blocks(
                        context.kernel(CudaErrorSums.FILE, "error_moments_fold"),
                        "error_moments_fold",
                        (channels + FOLD_CHANNELS - 1L) / FOLD_CHANNELS);
    }

    /** Begins to bring them to the host. */
    void bring() {
        byPositions.values().forEach(CardTotals::bring);
    }

    /** All of them, after waiting. */
    ErrorTotals totals(boolean perSample) {
        ErrorTotals all = new ErrorTotals(channels, perSample);
        bring();
        byPositions.forEach((positions, t) -> all.add(t.values(), positions, t.units(), t.samples()));
        return all;
    }

    @Override
    public void close() {
        Resources all = new Resources();
        byPositions.values().forEach(t -> all.add(t::close));
        byPositions.clear();
        all.close();
    }
}
