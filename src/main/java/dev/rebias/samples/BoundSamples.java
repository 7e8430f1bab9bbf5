package dev.rebias.samples;

import dev.rebias.error.UsageException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;

/** Samples that have been checked against a model's inputs. */
public final class BoundSamples {
    private final List<Supplier<SampleReader>> readers;
    private final int count;

    BoundSamples(List<Supplier<SampleReader>> readers, int count) {
        this.readers = readers;
        this.count = count;
    }

    /** How many samples there are, at least 1. */
    public int count() {
        return count;
    }

    /**
     * Starts reading from the first sample; may be called again and again.
     *
     * @throws UsageException if the batch size is less than 1
     */
    public Batches batches(int batchSize) {
        if (batchSize < 1) {
            throw new UsageException("batch size " + batchSize + " is not possible: it must be 1 or more");
        }
        List<SampleReader> opened = new ArrayList<>();
        try {
            readers.forEach(r -> opened.add(r.get()));
        } catch (RuntimeException e) {
            opened.forEach(SampleReader::close);
            throw e;
        }
        return new Batches(opened, count, batchSize);
    }
}
