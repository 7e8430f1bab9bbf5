package dev.rebias.samples;

import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.HostValues;
import java.util.ArrayList;
import java.util.List;

/** Reads several arrays one after the other, as if they were one. */
final class JoinedReader implements SampleReader {
    private final List<Long> counts;
    private final List<SampleReader> readers;
    private int current;
    private long read;

    /**
     * Joins readers.
     *
     * @param counts how many samples each has
     */
    JoinedReader(List<Long> counts, List<SampleReader> readers) {
        this.counts = counts;
        this.readers = readers;
    }

    @Override
    public HostTensor next(int n) {
        return stored(n).tensor();
    }

    @Override
    public HostValues stored(int n) {
        List<HostValues> parts = new ArrayList<>();
        for (int have = 0;
                have < n;
                have += Math.toIntExact(parts.get(parts.size() - 1).shape()[0])) {
            parts.add(part(n - have));
        }
        return SampleParts.joined(parts);
    }

    /** As many of the next n samples as the current array still has. */
    private HostValues part(int n) {
        while (read == counts.get(current)) {
            current++;
            read = 0;
        }
        int here = (int) Math.min(n, counts.get(current) - read);
        read += here;
        return readers.get(current).stored(here);
    }

    @Override
    public void close() {
        readers.forEach(SampleReader::close);
    }
}
