package dev.rebias.samples;

import dev.rebias.tensor.HostTensor;
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
    public HostTensor next(int n) {
        HostTensor first = part(n);
        int have = Math.toIntExact(first.shape()[0]);
        if (have == n) {
            return first;
        }
        long[] shape = first.shape();
        shape[0] = n;
        HostTensor all = HostTensor.zeros(first.type(), shape);
        var to = all.bytes();
        to.put(first.bytes());
        while (have < n) {
            HostTensor more = part(n - have);
            to.put(more.bytes());
            have += Math.toIntExact(more.shape()[0]);
        }
        return all;
    }

    @Override
    public HostValues stored(int n) {
        advance();
        if (counts.get(current) - read < n) {
            return next(n);
        }
        read += n;
        return readers.get(current).stored(n);
    }

    /** As many of the next n samples as the current array still has. */
    private HostTensor part(int n) {
        advance();
        int here = (int) Math.min(n, counts.get(current) - read);
        read += here;
        return readers.get(current).next(here);
    }

    /** Goes on to the next array where the current one has been read. */
    private void advance() {
        while (read == counts.get(current)) {
            current++;
            read = 0;
        }
    }

    @Override
    public void close() {
        readers.forEach(SampleReader::close);
    }
}
