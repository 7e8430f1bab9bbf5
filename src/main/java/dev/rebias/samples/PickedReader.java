package dev.rebias.samples;

import dev.rebias.tensor.HostTensor;
import java.nio.ByteBuffer;
import java.util.stream.IntStream;

/** Gives some of the samples of another reader; those that lie side by side are read together. */
final class PickedReader implements SampleReader {
    private final SampleReader all;
    private final int[] places;
    private int given;
    private int passed;

    /**
     * Picks samples.
     *
     * @param places the numbers of those that are wanted, rising
     */
    PickedReader(SampleReader all, int[] places) {
        this.all = all;
        this.places = places;
    }

    /** The numbers of n samples spread evenly over all of them: the k-th is the sample in the middle of the k-th of n parts. */
    static int[] spread(int count, int n) {
        return IntStream.range(0, n)
                .map(k -> Math.toIntExact((2L * k + 1) * count / (2L * n)))
                .toArray();
    }

    @Override
    public HostTensor next(int n) {
        HostTensor first = run(n);
        int have = Math.toIntExact(first.shape()[0]);
        if (have == n) {
            return first;
        }
        long[] shape = first.shape();
        shape[0] = n;
        HostTensor together = HostTensor.zeros(first.type(), shape);
        ByteBuffer to = together.bytes();
        to.put(first.bytes());
        while (have < n) {
            HostTensor more = run(n - have);
            to.put(more.bytes());
            have += Math.toIntExact(more.shape()[0]);
        }
        return together;
    }

    /** As many of the next n samples as lie side by side. */
    private HostTensor run(int n) {
        int from = places[given];
        int length = 1;
        while (length < n && places[given + length] == from + length) {
            length++;
        }
        all.skip(from - passed);
        passed = from + length;
        given += length;
        return all.next(length);
    }

    @Override
    public void close() {
        all.close();
    }
}
