package dev.rebias.hdf5;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * An attribute (section IV.A.2.m) whose values are texts: fixed-length strings, or strings of variable length in a
 * global heap.
 *
 * @param version 1 to 3
 * @param charset of the name, in version 3
 * @param name with its terminating zero
 * @param datatype the datatype message
 * @param dataspace the dataspace message
 */
record AttributeMessage(int version, int charset, byte[] name, byte[] datatype, byte[] dataspace) {
    private static final int STRING = 3;
    private static final int VARIABLE_LENGTH = 9;
    private static final int REFERENCE = 16;

    /** Whether a message is the attribute of that name; nothing else of it needs to be understood. */
    static boolean isNamed(Image image, ObjectHeader.Message message, String wanted) {
        int version = image.u8(message.data());
        int size = image.u16(message.data() + 2);
        byte[] name = image.get(message.data() + (version == 3 ? 9 : 8), Math.max(0, size - 1));
        return new String(name, StandardCharsets.UTF_8).equals(wanted);
    }

    static AttributeMessage read(Image image, ObjectHeader.Message message) {
        long at = message.data();
        int version = image.u8(at);
        if (version < 1 || version > 3 || (version > 1 && image.u8(at + 1) != 0)) {
            throw image.unsupported("has an attribute of a kind that rebias does not change (version " + version + ")");
        }
        int charset = version == 3 ? image.u8(at + 8) : 0;
        int nameSize = image.u16(at + 2);
        int typeSize = image.u16(at + 4);
        int spaceSize = image.u16(at + 6);
        long name = at + (version == 3 ? 9 : 8);
        long type = name + padded(version, nameSize);
        long space = type + padded(version, typeSize);
        return new AttributeMessage(
                version, charset, image.get(name, nameSize), image.get(type, typeSize), image.get(space, spaceSize));
    }

    /** A new attribute: one UTF-8 string of variable length, as h5py writes a Python string. */
    static AttributeMessage text(String name) {
        byte[] zeroEnded = (name + "\0").getBytes(StandardCharsets.UTF_8);
        // Class 9 (variable length), version 1; a string, zero-terminated, UTF-8; of bytes: class 3, version 1, size 1,
        // UTF-8.
        byte[] datatype = {0x19, 0x01, 0x01, 0, REFERENCE, 0, 0, 0, 0x13, 0x10, 0, 0, 1, 0, 0, 0};
        byte[] scalar = {1, 0, 0, 0, 0, 0, 0, 0};
        return new AttributeMessage(1, 0, zeroEnded, datatype, scalar);
    }

    private static int padded(int version, int length) {
        return version == 1 ? Packed.roundedUp(length) : length;
    }

    /** The message with these texts as values: one where it is a scalar, else a list. */
    byte[] withTexts(Image image, List<String> texts) {
        List<byte[]> values =
                texts.stream().map(t -> t.getBytes(StandardCharsets.UTF_8)).toList();
        byte[] type = datatype.clone();
        int longest = values.stream().mapToInt(v -> v.length).max().orElse(0);
        int width =
                switch (type[0] & 0x0f) {
                    case VARIABLE_LENGTH -> REFERENCE;
                    // Zero-terminated ones need a byte more than padded ones.
                    case STRING -> Math.max(1, longest + ((type[1] & 0x0f) == 0 ? 1 : 0));
                    default ->
                        throw image.unsupported("has a text attribute that is not made of strings: it is damaged");
                };
        ByteBuffer.wrap(type).order(ByteOrder.LITTLE_ENDIAN).putInt(4, width);
        List<byte[]> stored = new ArrayList<>();
        if ((type[0] & 0x0f) == VARIABLE_LENGTH) {
            long heap = GlobalHeap.append(image, values);
            for (byte[] value : values) {
                stored.add(new Packed()
                        .u32(value.length)
                        .i64(heap)
                        .u32(stored.size() + 1)
                        .toBytes());
            }
        } else {
            values.forEach(value -> stored.add(Arrays.copyOf(value, width)));
        }
        byte[] space = withLength(image, values.size());
        Packed out =
                new Packed().u8(version).u8(0).u16(name.length).u16(type.length).u16(space.length);
        if (version == 3) {
            out.u8(charset);
        }
        for (byte[] part : List.of(name, type, space)) {
            out.bytes(part).zeros(padded(version, part.length) - part.length);
        }
        stored.forEach(out::bytes);
        return out.toBytes();
    }

    /** The dataspace (section IV.A.2.b) with another length; a scalar becomes a list where there are several. */
    private byte[] withLength(Image image, int length) {
        byte[] space = dataspace.clone();
        int rank = space[1];
        if (rank == 0) {
            return length == 1
                    ? space
                    : new Packed().u8(1).u8(1).zeros(6).i64(length).toBytes();
        }
        if (rank != 1) {
            throw image.unsupported("has a list of texts of rank " + rank + ": it is damaged");
        }
        ByteBuffer dims = ByteBuffer.wrap(space).order(ByteOrder.LITTLE_ENDIAN);
        int first = space[0] == 1 ? 8 : 4;
        dims.putLong(first, length);
        boolean hasMost = (space[2] & 1) != 0;
        if (hasMost && dims.getLong(first + 8) != Image.UNDEFINED) {
            dims.putLong(first + 8, length);
        }
        return space;
    }
}
