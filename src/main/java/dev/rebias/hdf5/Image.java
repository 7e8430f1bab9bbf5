package dev.rebias.hdf5;

import dev.rebias.error.UnsupportedException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * The bytes of an HDF5 file, which grow at the end. Positions are addresses as the file has them: from its base
 * address, where a user block may lie before.
 */
final class Image {
    /** What an address that points nowhere looks like. */
    static final long UNDEFINED = -1;

    private static final byte[] SIGNATURE = {(byte) 0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};

    private final String where;
    private ByteBuffer bytes;
    private int size;
    private final int base;
    private final int endOfFile;
    private final int leafCapacity;
    private final long root;

    /** Reads the superblock (sections II.A, version 0 and 1). */
    Image(String where, byte[] file) {
        this.where = where;
        this.bytes = ByteBuffer.wrap(file.clone()).order(ByteOrder.LITTLE_ENDIAN);
        this.size = file.length;
        int start = superblock(file);
        int version = bytes.get(start + 8);
        if (version > 1 || bytes.get(start + 13) != 8 || bytes.get(start + 14) != 8) {
            throw unsupported("has a superblock of version " + version
                    + ", HDF5's newer format, into which rebias does not write: save the model once more "
                    + "with Keras' own save()");
        }
        this.leafCapacity = 2 * bytes.getShort(start + 16);
        int addresses = start + (version == 0 ? 24 : 28);
        this.base = Math.toIntExact(bytes.getLong(addresses));
        this.endOfFile = addresses + 16;
        this.root = bytes.getLong(addresses + 32 + 8);
    }

    private int superblock(byte[] file) {
        for (int at = 0; at + SIGNATURE.length + 100 <= file.length; at = at == 0 ? 512 : 2 * at) {
            if (Arrays.equals(file, at, at + SIGNATURE.length, SIGNATURE, 0, SIGNATURE.length)) {
                return at;
            }
        }
        throw unsupported("is not an HDF5 file");
    }

    UnsupportedException unsupported(String what) {
        return new UnsupportedException(where + " " + what);
    }

    /** The address of the root group's object header. */
    long root() {
        return root;
    }

    /** How many entries a leaf of a group's symbol table can hold. */
    int leafCapacity() {
        return leafCapacity;
    }

    private int position(long address, int length) {
        long position = base + address;
        if (address < 0 || position + length > size) {
            throw unsupported("points to address " + address + ", outside of itself: it is damaged");
        }
        return (int) position;
    }

    int u8(long address) {
        return Byte.toUnsignedInt(bytes.get(position(address, 1)));
    }

    int u16(long address) {
        return Short.toUnsignedInt(bytes.getShort(position(address, 2)));
    }

    long u32(long address) {
        return Integer.toUnsignedLong(bytes.getInt(position(address, 4)));
    }

    long i64(long address) {
        return bytes.getLong(position(address, 8));
    }

    byte[] get(long address, int length) {
        byte[] out = new byte[length];
        bytes.get(position(address, length), out);
        return out;
    }

    boolean hasSignature(long address, String signature) {
        return Arrays.equals(get(address, signature.length()), signature.getBytes(StandardCharsets.US_ASCII));
    }

    void putU8(long address, int value) {
        bytes.put(position(address, 1), (byte) value);
    }

    void putU16(long address, int value) {
        bytes.putShort(position(address, 2), (short) value);
    }

    void putI64(long address, long value) {
        bytes.putLong(position(address, 8), value);
    }

    void put(long address, byte[] values) {
        bytes.put(position(address, values.length), values);
    }

    /** Puts bytes behind all others, at a multiple of 8, and returns their address. */
    long append(byte[] values) {
        int start = (size + 7) / 8 * 8;
        long end = (long) start + values.length;
        if (end > Integer.MAX_VALUE - 16) {
            throw unsupported("would grow beyond 2 GiB");
        }
        if (end > bytes.capacity()) {
            byte[] grown = Arrays.copyOf(bytes.array(), (int) Math.min(Integer.MAX_VALUE - 16L, end + end / 4));
            bytes = ByteBuffer.wrap(grown).order(ByteOrder.LITTLE_ENDIAN);
        }
        bytes.put(start, values);
        size = (int) end;
        // Unlike other addresses, this one counts from the very start of the file, a user block included.
        bytes.putLong(endOfFile, size);
        return (long) start - base;
    }

    /** The whole file. */
    byte[] toBytes() {
        return Arrays.copyOf(bytes.array(), size);
    }
}
