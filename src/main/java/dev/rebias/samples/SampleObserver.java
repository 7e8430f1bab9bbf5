package dev.rebias.samples;

import dev.rebias.tensor.HostValues;

/** Sees samples as they are read. Called by one thread at a time, not always the same. */
@FunctionalInterface
public interface SampleObserver {
    /**
     * Some samples of one input have been read.
     *
     * @param input its number among the bound inputs
     * @param values what was read, as it is stored; not to be changed
     * @param samples how many samples that is, one after the other
     */
    void see(int input, HostValues values, int samples);
}
