package dev.rebias.device.cpu.sums;

import dev.rebias.device.cpu.elementwise.ByteReader;
import dev.rebias.device.cpu.elementwise.ElementLoops;
import dev.rebias.device.cpu.memory.CpuTensor;
import dev.rebias.device.cpu.memory.Layout;
import dev.rebias.device.cpu.onednn.CpuContext;
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
        boolean floats = x.type() == ElementType.FLOAT;
        this.tensor = context.layouts().in(layout, x);
        this.bytes = floats ? Optional.empty() : Optional.of(new ByteReader(context, tensor, 0));
        this.zero = floats ? 0 : zero;
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
