package dev.rebias.samples;

import dev.rebias.tensor.HostValues;
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
    public HostValues stored(int n) {
        return SampleParts.read(n, this::part);
    }

    @Override
    public void skip(int n) {
        for (int left = n; left > 0; ) {
            int here = begin(left);
            readers.get(current).skip(here);
            left -= here;
        }
    }

    /** As many of the next n samples as the current array still has. */
    private HostValues part(int n) {
        int here = begin(n);
        return readers.get(current).stored(here);
    }

    /**
     * How many of the next n samples are read from the current array, which is the next one where the last is used up.
     */
    private int begin(int n) {
        while (read == counts.get(current)) {
            current++;
            read = 0;
        }
        int here = (int) Math.min(n, counts.get(current) - read);
        read += here;
        return here;
    }

    @Override
    public void close() {
        readers.forEach(SampleReader::close);
    }
}
