package dev.rebias.samples;

import dev.rebias.tensor.HostTensor;

/** Reads the samples of one input from the first to the last, n at a time. */
interface SampleReader extends AutoCloseable {
    /** The next n samples as the model's input wants them; n does not go beyond the last. */
    HostTensor next(int n);

    /** Passes over n samples. */
    default void skip(int n) {
        for (int i = 0; i < n; i++) {
            next(1);
        }
    }

    @Override
    void close();
}
