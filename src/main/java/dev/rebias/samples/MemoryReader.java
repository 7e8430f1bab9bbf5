package dev.rebias.samples;

import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;

/** Cuts batches out of a tensor in memory; values as they are. */
final class MemoryReader implements SampleReader {
    private final String name;
    private final HostTensor tensor;
    private int position;

    MemoryReader(String name, HostTensor tensor) {
        this.name = name;
        this.tensor = tensor;
    }

    @Override
    public HostTensor next(int n) {
        long[] shape = tensor.shape();
        int sampleBytes = Math.toIntExact(
                Shape.elements(shape, 1, shape.length) * tensor.type().bytes());
        shape[0] = n;
        HostTensor out = HostTensor.zeros(tensor.type(), shape);
        ByteBuffer from = tensor.bytes();
        from.limit((position + n) * sampleBytes).position(position * sampleBytes);
        out.bytes().put(from);
        if (tensor.type() == ElementType.FLOAT) {
            requireFinite(out.floats(), n);
        }
        position += n;
        return out;
    }

    private void requireFinite(FloatBuffer values, int n) {
        int perSample = values.capacity() / n;
        for (int i = 0; i < values.capacity(); i++) {
            if (!Float.isFinite(values.get(i))) {
                throw new UnsupportedException("samples for input '" + name + "' hold " + values.get(i) + " in sample "
                        + (position + i / perSample) + " (counted from 0): samples must be finite numbers");
            }
        }
    }

    @Override
    public void close() {
        // The tensor is the caller's.
    }
}
