package dev.rebias.samples;

import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.HostValues;

/** Reads the samples of one input from the first to the last, n at a time. */
interface SampleReader extends AutoCloseable {
    /** The next n samples as the model's input wants them; n does not go beyond the last. */
    HostTensor next(int n);

    /** The same, as bytes that stand for the values where that is how they are stored. Either of the two methods reads on from where the other left off. */
    default HostValues stored(int n) {
        return next(n);
    }

    /** Passes over n samples. */
    default void skip(int n) {
        for (int i = 0; i < n; i++) {
            next(1);
        }
    }

    @Override
    void close();
}
