package dev.rebias.hdf5;

import java.util.List;

/** Global heaps (section III.E), which hold strings of variable length. */
final class GlobalHeap {
    private static final int HEADER = 16;
    private static final int OBJECT_HEADER = 16;
    private static final int LEAST = 4096;

    private GlobalHeap() {}

    /** Appends a collection with these objects, numbered from 1, and returns its address. */
    static long append(Image image, List<byte[]> objects) {
        Packed packed = new Packed();
        for (int i = 0; i < objects.size(); i++) {
            byte[] object = objects.get(i);
            packed.u16(i + 1).u16(1).u32(0).i64(object.length).padded(object);
        }
        byte[] used = packed.toBytes();
        int size = Math.max(LEAST, HEADER + used.length + OBJECT_HEADER);
        Packed heap = new Packed().signature("GCOL").u8(1).zeros(3).i64(size).bytes(used);
        // The rest is object 0: free space, its size with the header that tells of it.
        int free = size - HEADER - used.length;
        heap.u16(0).u16(0).u32(0).i64(free).zeros(free - OBJECT_HEADER);
        return image.append(heap.toBytes());
    }
}
