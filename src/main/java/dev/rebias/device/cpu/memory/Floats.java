package dev.rebias.device.cpu.memory;

import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;

/** Memory for floats that oneDNN reads and writes. */
public final class Floats implements AutoCloseable {
    /**
     * The floats of a window on their way from bytes or to them: few enough for a cache, so many that a call for each
     * does not matter.
     */
    public static final int WINDOW = 8192;

    private final BytePointer memory;
    private final FloatBuffer values;

    public Floats(int n) {
        memory = NativeMemory.allocate((long) n * Float.BYTES, "floats");
        values = memory.asByteBuffer().order(ByteOrder.nativeOrder()).asFloatBuffer();
    }

    public long address() {
        return memory.address();
    }

    /** The same memory, for absolute access. */
    public FloatBuffer values() {
        return values;
    }

    @Override
    public void close() {
        Pointer.free(memory);
    }
}
