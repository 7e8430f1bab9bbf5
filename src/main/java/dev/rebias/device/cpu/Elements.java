package dev.rebias.device.cpu;

import dev.rebias.tensor.ElementType;
import java.nio.FloatBuffer;
import java.util.Optional;

/** A tensor's elements in a layout, read as floats: floats as they are, 8-bit integers less a zero point. */
final class Elements implements AutoCloseable {
    private final CpuTensor tensor;
    private final float zero;
    private final Optional<ByteReader> bytes;

    /**
     * Elements to be read by the calling thread.
     *
     * @param x FLOAT, UINT8 or INT8
     * @param zero what is subtracted from integers
     */
    Elements(CpuContext context, CpuTensor x, Layout layout, float zero) {
        // A view where it lies so already; a wide tensor in another layout becomes one of bytes.
        this.tensor = context.layouts().in(layout, x);
        boolean stored = x.type() == ElementType.FLOAT || tensor.isWide();
        this.bytes = stored ? Optional.empty() : Optional.of(new ByteReader(context, tensor, 0));
        this.zero = x.type() == ElementType.FLOAT ? 0 : tensor.isWide() ? zero - tensor.zero() : zero;
    }

    /** Reads n elements from the one with that number. */
    void read(int first, float[] to, int n) {
        if (bytes.isEmpty()) {
            FloatBuffer floats = tensor.floats();
            floats.get(first, to, 0, n);
        } else {
            bytes.orElseThrow().read(first, to, n);
        }
        if (zero != 0) {
            ElementLoops.shift(to, -zero, n);
        }
    }

    @Override
    public void close() {
        tensor.close();
    }
}
