package dev.rebias.device.cpu;

import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;

/** A window of floats on their way from bytes or to them: small enough for a cache, large enough that a call for each does not matter. */
final class Staging implements AutoCloseable {
    /** How many floats it holds. */
    static final int ELEMENTS = 8192;

    private final BytePointer memory;
    private final FloatBuffer floats;

    Staging() {
        long size = (long) ELEMENTS * Float.BYTES;
        memory = new BytePointer(Pointer.malloc(size)).capacity(size);
        if (memory.isNull()) {
            throw new OutOfMemoryError("no " + size + " bytes for a window of floats");
        }
        floats = memory.asByteBuffer().order(ByteOrder.nativeOrder()).asFloatBuffer();
    }

    long address() {
        return memory.address();
    }

    FloatBuffer floats() {
        return floats;
    }

    @Override
    public void close() {
        Pointer.free(memory);
    }
}
