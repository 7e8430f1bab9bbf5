package dev.rebias.samples;

import dev.rebias.tensor.HostTensor;

/** Gives the one value of an input that has no axis of samples. */
final class SameForAllReader implements SampleReader {
    private final HostTensor value;

    SameForAllReader(HostTensor value) {
        this.value = value;
    }

    @Override
    public HostTensor stored(int n) {
        return value;
    }

    @Override
    public void skip(int n) {
        // It is the same for those that are left out.
    }

    @Override
    public void close() {
        // Nothing is open.
    }
}
