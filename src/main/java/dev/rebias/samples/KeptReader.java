package dev.rebias.samples;

import dev.rebias.tensor.HostValues;
import java.util.List;

/** Gives samples that are kept in memory, each in a tensor of its own. */
final class KeptReader implements SampleReader {
    private final List<HostValues> samples;
    private int position;

    KeptReader(List<HostValues> samples) {
        this.samples = samples;
    }

    @Override
    public HostValues stored(int n) {
        position += n;
        return SampleParts.joined(samples.subList(position - n, position));
    }

    @Override
    public void skip(int n) {
        position += n;
    }

    @Override
    public void close() {
        // The samples are whoever's that read them.
    }
}
