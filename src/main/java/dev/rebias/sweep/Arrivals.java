package dev.rebias.sweep;

import dev.rebias.device.Resources;
import dev.rebias.samples.Batches;
import dev.rebias.samples.BoundSamples;
import dev.rebias.tensor.HostValues;
import java.util.List;
import java.util.Optional;

/**
 * The batches of a sweep in the order in which they come: first those that corrections come from, then those that are
 * held out.
 */
final class Arrivals implements AutoCloseable {
    private final Batches correcting;
    private final Optional<Batches> heldOut;
    private Batches last;

    Arrivals(BoundSamples samples, Optional<BoundSamples> held, int batchSize) {
        this.correcting = samples.batches(batchSize);
        this.last = correcting;
        try {
            this.heldOut = held.map(h -> h.batches(batchSize));
        } catch (RuntimeException | Error e) {
            correcting.close();
            throw e;
        }
    }

    boolean hasNext() {
        return correcting.hasNext() || heldOut.filter(Batches::hasNext).isPresent();
    }

    List<HostValues> next() {
        last = correcting.hasNext() ? correcting : heldOut.orElseThrow();
        return last.stored();
    }

    /** How many samples the batch has that came last. */
    int samples() {
        return last.samples();
    }

    @Override
    public void close() {
        Resources all = new Resources();
        all.add(correcting::close);
        heldOut.ifPresent(h -> all.add(h::close));
        all.close();
    }
}
