package dev.rebias.device.cpu;

import java.nio.ByteBuffer;
import org.bytedeco.javacpp.BytePointer;

/** A bare address that native calls take; it owns nothing. */
final class Address extends BytePointer {
    private static final long serialVersionUID = 1;

    /** Points there from now on. */
    Address at(long newAddress) {
        address = newAddress;
        return this;
    }

    /** The memory from here on as a buffer. */
    ByteBuffer buffer(long size) {
        limit(0);
        capacity(size);
        return asByteBuffer();
    }
}
