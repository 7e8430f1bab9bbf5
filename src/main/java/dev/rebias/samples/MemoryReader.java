package dev.rebias.samples;

import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;

/** Cuts batches out of a tensor in memory; values as they are, and where they are, not to be written to. */
final class MemoryReader implements SampleReader {
    /** How many elements are looked at together. */
    private static final int TILE = 4096;

    private final String name;
    private final HostTensor tensor;
    private int position;

    MemoryReader(String name, HostTensor tensor) {
        this.name = name;
        this.tensor = tensor;
    }

    @Override
    public HostTensor stored(int n) {
        long[] shape = tensor.shape();
        int sampleBytes = Math.toIntExact(
                Shape.elements(shape, 1, shape.length) * tensor.type().bytes());
        shape[0] = n;
        ByteBuffer part = tensor.bytes().asReadOnlyBuffer().slice(position * sampleBytes, n * sampleBytes);
        HostTensor out = new HostTensor(tensor.type(), shape, part);
        if (tensor.type() == ElementType.FLOAT) {
            requireFinite(out.floats(), n);
        }
        position += n;
        return out;
    }

    @Override
    public void skip(int n) {
        position += n;
    }

    private void requireFinite(FloatBuffer values, int n) {
        int perSample = values.capacity() / n;
        float[] tile = new float[Math.min(TILE, values.capacity())];
        for (int at = 0; at < values.capacity(); at += TILE) {
            int size = Math.min(TILE, values.capacity() - at);
            values.get(at, tile, 0, size);
            int bad = firstNotFinite(tile, size);
            if (bad < size) {
                throw new UnsupportedException("samples for input '" + name + "' hold " + tile[bad] + " in sample "
                        + (position + (at + bad) / perSample) + " (counted from 0): samples must be finite numbers");
            }
        }
    }

    /** A loop over an array of its own, which the compiler soon knows. */
    private static int firstNotFinite(float[] values, int n) {
        int i = 0;
        while (i < n && Float.isFinite(values[i])) {
            i++;
        }
        return i;
    }

    @Override
    public void close() {
        // The tensor is the caller's.
    }
}
