package dev.rebias.hdf5;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The messages that describe an object: a version 1 object header (section IV.A.1.a) and the blocks it continues in.
 */
final class ObjectHeader {
    static final int NIL = 0x00;
    static final int DATASPACE = 0x01;
    static final int DATATYPE = 0x03;
    static final int OLD_FILL_VALUE = 0x04;
    static final int FILL_VALUE = 0x05;
    static final int DATA_LAYOUT = 0x08;
    static final int FILTERS = 0x0b;
    static final int ATTRIBUTE = 0x0c;
    static final int CONTINUATION = 0x10;
    static final int SYMBOL_TABLE = 0x11;

    private static final int PREFIX = 16;
    private static final int MESSAGE_PREFIX = 8;
    private static final int CONTINUATION_SIZE = 16;
    private static final int SHARED = 2;
    private static final int MOST_MESSAGES = 0xffff;
    /** The size of a message's data is stored in 16 bits, and a multiple of 8. */
    private static final int MOST_DATA = 0xfff8;

    private final Image image;
    private final long address;

    /** A message, its data being at that address. */
    record Message(int type, int flags, long data, int size) {}

    ObjectHeader(Image image, long address) {
        this.image = image;
        this.address = address;
        if (image.u8(address) != 1) {
            throw image.unsupported(
                    "has objects in HDF5's newer format (libver='latest'), into which rebias does not write: save "
                            + "the model once more with Keras' own save()");
        }
    }

    /** All messages, those of continued blocks where the header ends. */
    List<Message> messages() {
        List<Message> messages = new ArrayList<>();
        List<long[]> blocks = new ArrayList<>();
        blocks.add(new long[] {address + PREFIX, image.u32(address + 8)});
        for (int b = 0; b < blocks.size(); b++) {
            long at = blocks.get(b)[0];
            long end = at + blocks.get(b)[1];
            while (at + MESSAGE_PREFIX <= end) {
                Message message = new Message(image.u16(at), image.u8(at + 4), at + MESSAGE_PREFIX, image.u16(at + 2));
                messages.add(message);
                if (message.type() == CONTINUATION) {
                    blocks.add(new long[] {image.i64(message.data()), image.i64(message.data() + 8)});
                }
                at = message.data() + message.size();
            }
            if (messages.size() > MOST_MESSAGES) {
                throw image.unsupported("has an object header without end: it is damaged");
            }
        }
        return messages;
    }

    Optional<Message> find(int type) {
        return messages().stream().filter(m -> m.type() == type).findFirst();
    }

    Message require(int type, String what) {
        return find(type).orElseThrow(() -> image.unsupported("has an object without its " + what + ": it is damaged"));
    }

    /** Gives a message other data: where it is if they fit, else in a new block. */
    void replace(Message message, byte[] data) {
        if ((message.flags() & SHARED) != 0) {
            throw image.unsupported(
                    "shares a message between objects, which rebias does not change: save the model once more with "
                            + "Keras' own save()");
        }
        if (data.length > message.size()) {
            add(message.type(), message.flags(), data, Optional.of(message));
            return;
        }
        byte[] padded = new byte[message.size()];
        System.arraycopy(data, 0, padded, 0, data.length);
        image.put(message.data(), padded);
    }

    /** Takes a message away. */
    void remove(Message message) {
        image.putU16(message.data() - MESSAGE_PREFIX, NIL);
        image.putU8(message.data() - MESSAGE_PREFIX + 4, 0);
    }

    /** Adds a message. */
    void add(int type, byte[] data) {
        add(type, 0, data, Optional.empty());
    }

    /**
     * Adds a message in a new block. The message that tells of the block takes the place of the one that is replaced,
     * or of one that is empty, or of one that moves to the new block too.
     */
    private void add(int type, int flags, byte[] data, Optional<Message> replaced) {
        if (data.length > MOST_DATA) {
            throw image.unsupported(
                    "would get an attribute of " + data.length + " bytes, more than HDF5 allows (64 KB)");
        }
        replaced.filter(m -> m.size() < CONTINUATION_SIZE).ifPresent(this::remove);
        Optional<Message> free = replaced.filter(m -> m.size() >= CONTINUATION_SIZE)
                .or(() -> messages().stream()
                        .filter(m -> m.type() == NIL && m.size() >= CONTINUATION_SIZE)
                        .findFirst());
        Message slot = free.or(() -> messages().stream()
                        .filter(m -> m.type() != CONTINUATION && m.size() >= CONTINUATION_SIZE)
                        .findFirst())
                .orElseThrow(() -> image.unsupported("has an object header without room for a change: it is damaged"));
        boolean moves = free.isEmpty();
        Packed block = new Packed();
        message(block, type, flags, data);
        if (moves) {
            message(block, slot.type(), slot.flags(), image.get(slot.data(), slot.size()));
        }
        byte[] appended = block.toBytes();
        Packed pointer = new Packed();
        byte[] place =
                new Packed().i64(image.append(appended)).i64(appended.length).toBytes();
        message(pointer, CONTINUATION, 0, place);
        int left = slot.size() - CONTINUATION_SIZE;
        if (left > 0) {
            message(pointer, NIL, 0, new byte[left - MESSAGE_PREFIX]);
        }
        image.put(slot.data() - MESSAGE_PREFIX, pointer.toBytes());
        int more = 1 + (moves ? 1 : 0) + (left > 0 ? 1 : 0);
        image.putU16(address + 2, image.u16(address + 2) + more);
    }

    /** Writes a message; its data are padded to a multiple of 8. */
    private static void message(Packed to, int type, int flags, byte[] data) {
        to.u16(type).u16(Packed.roundedUp(data.length)).u8(flags).zeros(3).padded(data);
    }

    /** Appends a new object header with these messages, each with other data, and returns its address. */
    static long append(Image image, List<Message> messages, List<byte[]> data) {
        Packed body = new Packed();
        for (int i = 0; i < messages.size(); i++) {
            message(body, messages.get(i).type(), messages.get(i).flags(), data.get(i));
        }
        byte[] bytes = body.toBytes();
        Packed header = new Packed()
                .u8(1)
                .u8(0)
                .u16(messages.size())
                .u32(1)
                .u32(bytes.length)
                .u32(0)
                .bytes(bytes);
        return image.append(header.toBytes());
    }
}
