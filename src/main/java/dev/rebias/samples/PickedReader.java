package dev.rebias.samples;

import dev.rebias.tensor.HostValues;
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

    /**
     * The numbers of n samples spread evenly over all of them: the k-th is the sample in the middle of the k-th of n
     * parts.
     */
    static int[] spread(int count, int n) {
        return IntStream.range(0, n)
                .map(k -> Math.toIntExact((2L * k + 1) * count / (2L * n)))
                .toArray();
    }

    @Override
    public HostValues stored(int n) {
        return SampleParts.read(n, this::run);
    }

    /** As many of the next n samples as lie side by side. */
    private HostValues run(int n) {
        int from = places[given];
        int length = 1;
        while (length < n && places[given + length] == from + length) {
            length++;
        }
        all.skip(from - passed);
        passed = from + length;
        given += length;
        return all.stored(length);
    }

    @Override
    public void skip(int n) {
        given += n;
    }

    @Override
    public void close() {
        all.close();
    }
}
