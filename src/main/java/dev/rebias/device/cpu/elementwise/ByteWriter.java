package dev.rebias.device.cpu.elementwise;

import dev.rebias.device.cpu.memory.CpuTensor;
import dev.rebias.device.cpu.memory.Floats;
import dev.rebias.device.cpu.onednn.CpuContext;
import dev.rebias.device.cpu.onednn.ThreadScratch;
import dev.rebias.tensor.ElementType;

/**
 * Writes floats that are 8-bit integers to a tensor of such, from front to back: a window of them at a time is
 * converted by oneDNN, for JDK 17 makes no vector instructions of that.
 */
final class ByteWriter {
    private final CpuContext context;
    private final ThreadScratch scratch;
    private final ElementType type;
    private final long address;
    private final Floats window;
    private long start;
    private int filled;

    /**
     * Writes a tensor, by the calling thread.
     *
     * @param number of the writer among the readers and writers that the thread uses at the same time
     */
    ByteWriter(CpuContext context, CpuTensor y, int number) {
        this.context = context;
        this.scratch = context.scratch();
        this.type = y.type();
        this.address = y.address();
        this.window = scratch.window(number);
    }

    /** Writes the next n elements. */
    void write(float[] from, int n) {
        for (int done = 0; done < n; ) {
            int some = Math.min(n - done, Floats.WINDOW - filled);
            window.values().put(filled, from, done, some);
            filled += some;
            done += some;
            if (filled == Floats.WINDOW) {
                flush();
            }
        }
    }

    /** Writes what is still in the window. */
    void flush() {
        if (filled > 0) {
            context.layouts()
                    .conversion(ElementType.FLOAT, type, filled)
                    .execute(scratch, window.address(), address + start);
            start += filled;
            filled = 0;
        }
    }
}
