package dev.rebias.device.cuda;

import dev.rebias.device.Resources;
import java.util.Optional;

/**
 * Totals of doubles, zero at first, which stay on the card until the host asks for them, and how much went into them.
 */
final class CardTotals implements AutoCloseable {
    private final CudaContext context;
    private final int doubles;
    private final MemoryPool.Block block;
    private Optional<CudaContext.Returned> returned = Optional.empty();
    private long units;
    private long samples;

    /**
     * Takes memory of the card, and clears it.
     *
     * @param doubles how many
     * @param what they are, for what is said where memory runs out
     */
    CardTotals(CudaContext context, long doubles, String what) {
        this.context = context;
        this.doubles = Math.toIntExact(doubles);
        try (Partial made = new Partial()) {
            block = made.keep(context.pool().allocate(bytes(), what));
            context.clear(block.address(), bytes());
            made.complete();
        }
    }

    private long bytes() {
        return (long) doubles * Double.BYTES;
    }

    long address() {
        return block.address();
    }

    /** Counts what a kernel has been told to add. */
    void count(long newUnits, long newSamples) {
        units += newUnits;
        samples += newSamples;
    }

    /** How many units were added: entries of axis 0, or what else is summed up on its own. */
    long units() {
        return units;
    }

    /** How many samples these belong to. */
    long samples() {
        return samples;
    }

    /** Begins to bring them to the host, where that has not begun. Nothing may be added from then on. */
    void bring() {
        if (returned.isEmpty()) {
            returned = Optional.of(context.bring(block.address(), bytes()));
        }
    }

    /** The totals, after waiting for them. */
    double[] values() {
        bring();
        return returned.orElseThrow().doubles(doubles);
    }

    @Override
    public void close() {
        Resources all = new Resources();
        all.add(block::close);
        returned.ifPresent(r -> all.add(r::close));
        all.close();
    }
}
