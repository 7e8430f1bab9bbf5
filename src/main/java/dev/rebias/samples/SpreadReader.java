package dev.rebias.samples;

import dev.rebias.tensor.HostTensor;
import java.nio.ByteBuffer;
import java.util.stream.LongStream;

/** Gives some of the samples of another reader, spread evenly over all of them: number k of n is the sample in the middle of the k-th of n parts. */
final class SpreadReader implements SampleReader {
    private final SampleReader all;
    private final long count;
    private final long picked;
    private long given;
    private long passed;

    /**
     * Picks samples.
     *
     * @param count how many samples there are
     * @param picked how many of them are wanted, from 1 to count
     */
    SpreadReader(SampleReader all, int count, int picked) {
        this.all = all;
        this.count = count;
        this.picked = picked;
    }

    /** The numbers of the samples that are picked. */
    static LongStream places(long count, long picked) {
        return LongStream.range(0, picked).map(k -> place(k, count, picked));
    }

    private static long place(long k, long count, long picked) {
        return (2 * k + 1) * count / (2 * picked);
    }

    @Override
    public HostTensor next(int n) {
        HostTensor first = one();
        if (n == 1) {
            return first;
        }
        long[] shape = first.shape();
        shape[0] = n;
        HostTensor together = HostTensor.zeros(first.type(), shape);
        ByteBuffer to = together.bytes();
        to.put(first.bytes());
        for (int i = 1; i < n; i++) {
            to.put(one().bytes());
        }
        return together;
    }

    private HostTensor one() {
        long at = place(given, count, picked);
        all.skip(Math.toIntExact(at - passed));
        passed = at + 1;
        given++;
        return all.next(1);
    }

    @Override
    public void close() {
        all.close();
    }
}
