package dev.rebias.device.cpu.memory;

import java.nio.ByteBuffer;
import org.bytedeco.javacpp.BytePointer;

/** A bare address that native calls take; it owns nothing. */
public final class Address extends BytePointer {
    private static final long serialVersionUID = 1;

    /** Points there from now on. */
    public Address at(long newAddress) {
        address = newAddress;
        return this;
    }

    /** The memory from here on as a buffer. */
    public ByteBuffer buffer(long size) {
        limit(0);
        capacity(size);
        return asByteBuffer();
    }
}
