package dev.rebias.samples;

import dev.rebias.tensor.HostTensor;
import java.nio.ByteBuffer;
import java.util.List;

/** Gives samples that are kept in memory, each in a tensor of its own. */
final class KeptReader implements SampleReader {
    private final List<HostTensor> samples;
    private int position;

    KeptReader(List<HostTensor> samples) {
        this.samples = samples;
    }

    @Override
    public HostTensor next(int n) {
        HostTensor first = samples.get(position);
        if (n == 1) {
            position++;
            return first;
        }
        long[] shape = first.shape();
        shape[0] = n;
        HostTensor together = HostTensor.zeros(first.type(), shape);
        ByteBuffer to = together.bytes();
        samples.subList(position, position + n).forEach(sample -> to.put(sample.bytes()));
        position += n;
        return together;
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
