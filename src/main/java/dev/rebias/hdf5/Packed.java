package dev.rebias.hdf5;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/** A structure of the file that is put together, little endian. */
final class Packed {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    Packed u8(int value) {
        bytes.write(value);
        return this;
    }

    Packed u16(int value) {
        return u8(value).u8(value >> 8);
    }

    Packed u32(int value) {
        return u16(value).u16(value >> 16);
    }

    Packed i64(long value) {
        return u32((int) value).u32((int) (value >> 32));
    }

    Packed bytes(byte[] values) {
        bytes.writeBytes(values);
        return this;
    }

    Packed signature(String text) {
        return bytes(text.getBytes(StandardCharsets.US_ASCII));
    }

    Packed zeros(int n) {
        return bytes(new byte[n]);
    }

    /** Bytes, and zeros up to a multiple of 8. */
    Packed padded(byte[] values) {
        return bytes(values).zeros(roundedUp(values.length) - values.length);
    }

    byte[] toBytes() {
        return bytes.toByteArray();
    }

    static int roundedUp(int length) {
        return (length + 7) / 8 * 8;
    }
}
