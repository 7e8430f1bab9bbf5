package dev.rebias.hdf5;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** The entries of a group: a B-tree (section III.A.1) of leaves (III.C), their names in a local heap (III.D). */
final class SymbolTable {
    private static final int ENTRY = 40;
    private static final int LEAF_HEADER = 8;
    private static final int TREE_HEADER = 24;
    private static final long NO_FREE_BLOCK = 1;
    /** The least that a free block takes: the address of the next, and its size. */
    private static final long FREE_BLOCK = 16;

    private final Image image;
    private final long tree;
    private final long heap;

    SymbolTable(Image image, long group) {
        this.image = image;
        ObjectHeader.Message table = new ObjectHeader(image, group)
                .find(ObjectHeader.SYMBOL_TABLE)
                .orElseThrow(() -> image.unsupported(
                        "has groups in HDF5's newer format, into which rebias does not write: save the "
                                + "model once more with Keras' own save()"));
        this.tree = image.i64(table.data());
        this.heap = image.i64(table.data() + 8);
        if (!image.hasSignature(tree, "TREE") || !image.hasSignature(heap, "HEAP")) {
            throw image.unsupported("has a group whose entries are not where it says: it is damaged");
        }
    }

    /** Adds an entry for an object with that header. */
    void add(String name, long header) {
        byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
        insert(tree, bytes, addName(bytes), header);
    }

    private byte[] name(long offset) {
        long start = image.i64(heap + 24) + offset;
        int length = 0;
        while (image.u8(start + length) != 0) {
            length++;
        }
        return image.get(start, length);
    }

    /**
     * Inserts into the last child whose names may be as large; key i + 1 of a node is the largest name in its child i.
     */
    private void insert(long node, byte[] name, long nameOffset, long header) {
        int level = image.u8(node + 5);
        int children = image.u16(node + 6);
        if (!image.hasSignature(node, "TREE") || children == 0 || level > 16) {
            throw image.unsupported("has a group without entries, or a damaged one");
        }
        int child = 0;
        while (child < children - 1 && Arrays.compareUnsigned(name, name(key(node, child + 1))) > 0) {
            child++;
        }
        long rightKey = node + TREE_HEADER + 16L * (child + 1);
        if (Arrays.compareUnsigned(name, name(image.i64(rightKey))) > 0) {
            image.putI64(rightKey, nameOffset);
        }
        long below = image.i64(node + TREE_HEADER + 16L * child + 8);
        if (level > 0) {
            insert(below, name, nameOffset, header);
        } else {
            insertInLeaf(below, name, nameOffset, header);
        }
    }

    private long key(long node, int i) {
        return image.i64(node + TREE_HEADER + 16L * i);
    }

    private void insertInLeaf(long leaf, byte[] name, long nameOffset, long header) {
        int count = image.u16(leaf + 6);
        if (!image.hasSignature(leaf, "SNOD")) {
            throw image.unsupported("has a group whose entries are not where it says: it is damaged");
        }
        if (count >= image.leafCapacity()) {
            throw image.unsupported("has a group with " + count
                    + " entries where a bias is to be added, more than Keras' layers have: save the model "
                    + "once more with Keras' own save()");
        }
        int at = 0;
        while (at < count
                && Arrays.compareUnsigned(name(image.i64(leaf + LEAF_HEADER + (long) ENTRY * at)), name) < 0) {
            at++;
        }
        long place = leaf + LEAF_HEADER + (long) ENTRY * at;
        byte[] behind = image.get(place, ENTRY * (count - at));
        image.put(
                place,
                new Packed().i64(nameOffset).i64(header).zeros(ENTRY - 16).toBytes());
        image.put(place + ENTRY, behind);
        image.putU16(leaf + 6, count + 1);
    }

    /**
     * Puts a name into the heap: into a free block that is large enough, or else into a larger copy of the heap's data.
     */
    private long addName(byte[] name) {
        int needed = Packed.roundedUp(name.length + 1);
        byte[] stored = Arrays.copyOf(name, needed);
        long data = image.i64(heap + 24);
        long link = heap + 16;
        long blocks = 0;
        for (long block = image.i64(link); block != NO_FREE_BLOCK; link = data + block, block = image.i64(link)) {
            if (blocks++ > image.i64(heap + 8) / FREE_BLOCK) {
                throw image.unsupported("has a group whose list of free space has no end: it is damaged");
            }
            long size = image.i64(data + block + 8);
            if (size == needed || size >= needed + FREE_BLOCK) {
                long next = image.i64(data + block);
                if (size > needed) {
                    image.putI64(data + block + needed, next);
                    image.putI64(data + block + needed + 8, size - needed);
                    next = block + needed;
                }
                image.putI64(link, next);
                image.put(data + block, stored);
                return block;
            }
        }
        int size = Math.toIntExact(image.i64(heap + 8));
        byte[] grown = Arrays.copyOf(image.get(data, size), size + needed);
        System.arraycopy(stored, 0, grown, size, needed);
        image.putI64(heap + 24, image.append(grown));
        image.putI64(heap + 8, grown.length);
        return size;
    }
}
