package dev.rebias.device.cpu.memory;

import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;

/** Memory outside the Java heap for what is not a tensor: weights, scratch space, sums. */
public final class NativeMemory {
    private NativeMemory() {}

    /**
     * Takes memory, which {@link Pointer#free} gives back.
     *
     * @param size in bytes; of nought there is one, too
     * @param what it is for
     * @throws OutOfMemoryError if the system has none left, with size and purpose
     */
    public static BytePointer allocate(long size, String what) {
        BytePointer made = new BytePointer(Pointer.malloc(Math.max(1, size))).capacity(size);
        if (made.isNull()) {
            throw new OutOfMemoryError("no " + size + " bytes for " + what);
        }
        return made;
    }
}
