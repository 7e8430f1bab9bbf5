package dev.rebias.samples;

import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.HostValues;

/** Reads the samples of one input from the first to the last, n at a time. */
interface SampleReader extends AutoCloseable {
    /**
     * The next n samples as the model's input wants them, or bytes that stand for these where that is how they are
     * stored; n does not go beyond the last.
     */
    HostValues stored(int n);

    /** The same as values. Either of the two methods reads on from where the other left off. */
    default HostTensor next(int n) {
        return stored(n).tensor();
    }

    /** Passes over n samples. */
    void skip(int n);

    @Override
    void close();
}
