package dev.rebias.samples;

import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.HostValues;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;

/**
 * The samples, batch by batch, from the first to the last; those of a batch have one shape, and the last batch of each
 * shape may be shorter.
 */
public final class Batches implements AutoCloseable {
    private final List<SampleReader> readers;
    private final Deque<Integer> left;
    private final int batchSize;
    private int samples;

    Batches(List<SampleReader> readers, List<Integer> groups, int batchSize) {
        this.readers = readers;
        this.left = new ArrayDeque<>(groups);
        this.batchSize = batchSize;
    }

    public boolean hasNext() {
        return !left.isEmpty();
    }

    /**
     * Reads the next batch.
     *
     * @return a tensor for each bound input, axis 0 being the samples unless its value is the same for all of them; it
     *     may be part of the samples themselves, and then cannot be written to
     * @throws dev.rebias.error.UnsupportedException if the file is damaged, or holds a value that is not finite
     */
    public List<HostTensor> next() {
        begin();
        return readers.stream().map(r -> r.next(samples)).toList();
    }

    /** The same, as bytes that stand for the values where that is how they are stored. */
    public List<HostValues> stored() {
        begin();
        return readers.stream().map(r -> r.stored(samples)).toList();
    }

    private void begin() {
        int group = left.remove();
        samples = Math.min(batchSize, group);
        if (samples < group) {
            left.addFirst(group - samples);
        }
    }

    /** How many samples the batch has that was read last. */
    public int samples() {
        return samples;
    }

    @Override
    public void close() {
        readers.forEach(SampleReader::close);
    }
}
