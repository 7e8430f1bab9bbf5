package dev.rebias.device.cpu.elementwise;

import dev.rebias.device.cpu.memory.CpuTensor;
import dev.rebias.device.cpu.memory.Floats;
import dev.rebias.device.cpu.onednn.CpuContext;
import dev.rebias.device.cpu.onednn.ThreadScratch;
import dev.rebias.tensor.ElementType;
import java.nio.FloatBuffer;

/**
 * Reads a tensor's 8-bit integers as floats, from front to back: a window of them at a time is converted by oneDNN, for
 * JDK 17 makes no vector instructions of that.
 */
public final class ByteReader {
    private final CpuContext context;
    private final ThreadScratch scratch;
    private final ElementType type;
    private final long address;
    private final long elements;
    private final Floats window;
    private long start;
    private long end;

    /**
     * Reads a tensor, by the calling thread.
     *
     * @param number of the reader among those that the thread uses at the same time
     */
    public ByteReader(CpuContext context, CpuTensor x, int number) {
        this.context = context;
        this.scratch = context.scratch();
        this.type = x.type();
        this.elements = x.bytes();
        this.address = x.address();
        this.window = scratch.window(number);
    }

    /** Reads n elements from that one on. */
    public void read(long first, float[] to, int n) {
        for (int done = 0; done < n; ) {
            long at = first + done;
            if (at < start || at >= end) {
                start = at;
                end = Math.min(at + Floats.WINDOW, elements);
                context.layouts()
                        .conversion(type, ElementType.FLOAT, (int) (end - start))
                        .execute(scratch, address + start, window.address());
            }
            FloatBuffer floats = window.values();
            int some = (int) Math.min(n - done, end - at);
            floats.get((int) (at - start), to, done, some);
            done += some;
        }
    }
}
