package dev.rebias.device.cpu;

import dev.rebias.tensor.ElementType;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;

/** A tensor's elements in a layout, read as floats: floats as they are, 8-bit integers less a zero point. */
final class Elements implements AutoCloseable {
    private final Lane lane;
    private final CpuTensor tensor;
    private final float zero;
    private final boolean stored;

    /**
     * Elements to be read by the calling thread.
     *
     * @param x FLOAT, UINT8 or INT8
     * @param zero what is subtracted from integers
     */
    Elements(CpuContext context, CpuTensor x, Layout layout, float zero) {
        this.lane = context.lane();
        // A view where it lies so already; a wide tensor in another layout becomes one of bytes.
        this.tensor = context.layouts().in(layout, x);
        this.stored = x.type() == ElementType.FLOAT || tensor.isWide();
        this.zero = x.type() == ElementType.FLOAT ? 0 : tensor.isWide() ? zero - tensor.zero() : zero;
    }

    /** Reads n elements from the one with that number. */
    void read(int first, float[] to, int n) {
        if (stored) {
            FloatBuffer floats = tensor.floats();
            floats.get(first, to, 0, n);
        } else {
            ByteBuffer elements = tensor.elements();
            byte[] bytes = lane.bytes(n);
            elements.get(first, bytes, 0, n);
            if (tensor.type() == ElementType.UINT8) {
                ElementLoops.fromUnsigned(bytes, to, n);
            } else {
                ElementLoops.fromSigned(bytes, to, n);
            }
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
