package dev.rebias.samples;

import dev.rebias.tensor.HostTensor;

/** Reads the samples of one input from the first to the last, n at a time. */
interface SampleReader extends AutoCloseable {
    /** The next n samples as the model's input wants them; n does not go beyond the last. */
    HostTensor next(int n);

    @Override
    void close();
}
