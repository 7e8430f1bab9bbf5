package dev.rebias.device.cuda;

import dev.rebias.device.DeviceMemory;
import dev.rebias.device.FreeRanges;
import dev.rebias.device.Resources;
import dev.rebias.error.OutOfDeviceMemoryException;
import java.util.HashSet;
import java.util.OptionalLong;
import java.util.Set;
import org.bytedeco.cuda.global.cudart;

/**
 * Device memory, taken from the driver once and given out in blocks. A block that is given back may be given out again
 * at once: all work that uses blocks is ordered by the compute stream, and uploads wait for it
 * ({@link CudaContext#upload}).
 *
 * <p>On the emulator, blocks that are given back are filled with 0xff (NaN), so that whoever reads one afterwards
 * shows. With the system property {@code rebias.cuda.pool=none} every block is an allocation of its own, so that a
 * memory checker sees its bounds; a number there is the most bytes that the pool takes.
 */
final class MemoryPool implements DeviceMemory, AutoCloseable {
    /** The share of the pool that tensors which are stored for later may take; the rest is for those in use. */
    private static final double STORED_SHARE = 0.6;
    /** More than any card has, and so little that sums of sizes cannot overflow. */
    private static final long MOST_TENSOR_BYTES = 1L << 44;

    /** Every block begins on a multiple of this, which suits all vector loads and cuDNN. */
    private static final long ALIGNMENT = 256;

    /** What happens to memory that is given back. */
    @FunctionalInterface
    interface Freed {
        void freed(long address, long bytes);
    }

    private final boolean single;
    private final Runnable settle;
    private final Freed freed;
    private final long base;
    private final long capacity;
    private final FreeRanges free;

    private final Set<Long> ownAllocations = new HashSet<>();
    private Runnable beforeShortage = () -> {};
    /** Up to here memory has been given out. */
    private long touched;

    private long used;
    private long peak;
    private long blocks;
    private boolean closed;

    /** A block of the pool. Closing it gives it back; closing it again does nothing. */
    final class Block implements AutoCloseable {
        private final long address;
        private final long bytes;
        private final boolean fresh;
        private boolean released;

        private Block(long address, long bytes, boolean fresh) {
            this.address = address;
            this.bytes = bytes;
            this.fresh = fresh;
        }

        /** Whether nothing has ever used this memory, so that no work on it can be left to do. */
        boolean fresh() {
            return fresh;
        }

        long bytes() {
            return bytes;
        }

        /** Whether it is as large as one for that many bytes. */
        boolean fits(long wanted) {
            return bytes == aligned(wanted);
        }

        long address() {
            if (released) {
                throw new IllegalStateException("a block of " + bytes + " bytes is used after it was given back");
            }
            return address;
        }

        @Override
        public void close() {
            if (!released) {
                released = true;
                release(this);
            }
        }
    }

    private MemoryPool(long base, long capacity, boolean single, Runnable settle, Freed freed) {
        this.base = base;
        this.capacity = capacity;
        this.single = single;
        this.settle = settle;
        this.freed = freed;
        this.free = new FreeRanges(capacity);
    }

    /**
     * A pool of that many bytes, taken from the driver now.
     *
     * @param freed is told of every block that is given back
     */
    static MemoryPool of(long bytes, Freed freed) {
        long capacity = bytes / ALIGNMENT * ALIGNMENT;
        long[] address = new long[1];
        Status.cuda(cudart.cuMemAlloc(address, capacity), "cuMemAlloc", "the memory pool of " + capacity + " bytes");
        return new MemoryPool(address[0], capacity, false, () -> {}, freed);
    }

    /**
     * A pool of which every block is an allocation of its own.
     *
     * @param settle waits for all work that may still use a block
     */
    static MemoryPool single(Runnable settle) {
        return new MemoryPool(0, 0, true, settle, (address, bytes) -> {});
    }

    /**
     * Takes a block.
     *
     * @param bytes its size, at least 1
     * @param purpose for what, for the message if there is not so much
     * @throws OutOfDeviceMemoryException if there is no free range so long
     */
    Block allocate(long bytes, String purpose) {
        long size = aligned(bytes);
        long address = single ? own(Math.max(bytes, 1), purpose) : base + fit(size, purpose);
        boolean fresh = single || address - base >= touched;
        touched = Math.max(touched, address - base + size);
        use(size);
        return new Block(address, size, fresh);
    }

    private static long aligned(long bytes) {
        return (Math.max(bytes, 1) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    private void use(long size) {
        used += size;
        peak = Math.max(peak, used);
        blocks++;
    }

    /** Whether blocks come from one allocation, and the pool is not closed. */
    boolean pooled() {
        return !single && !closed;
    }

    /** What gives back blocks that were set aside, for when there is no room for others. */
    void beforeShortage(Runnable givesBack) {
        beforeShortage = givesBack;
    }

    /** Counts a block as one that is not in use, though it is not given out again. */
    void setAside(Block block) {
        used -= block.bytes;
        blocks--;
    }

    /** Does to a block what happens to memory that is given back: nobody reads it any more. */
    void forget(Block block) {
        freed.freed(block.address, block.bytes);
    }

    /** Counts a block that was set aside as one in use. */
    void takeBack(Block block) {
        use(block.bytes);
    }

    private long own(long bytes, String purpose) {
        long[] address = new long[1];
        Status.cuda(cudart.cuMemAlloc(address, bytes), "cuMemAlloc", purpose + ", " + bytes + " bytes");
        ownAllocations.add(address[0]);
        return address[0];
    }

    private long fit(long size, String purpose) {
        OptionalLong place = free.take(size);
        if (place.isEmpty()) {
            beforeShortage.run();
            place = free.take(size);
        }
        return place.orElseThrow(
                () -> new OutOfDeviceMemoryException("the card's memory does not suffice for " + purpose
                        + ": requested " + size + " bytes, free " + (capacity - used) + " (longest piece "
                        + free.longest() + "), total " + capacity
                        + "; use a smaller `batchSize`, or a `memoryLimit` below " + used / 2
                        + ", so that more of what waits goes to the file, or fewer samples (`limit`)"));
    }

    private void release(Block block) {
        used -= block.bytes;
        blocks--;
        if (closed) {
            return;
        }
        if (single) {
            ownAllocations.remove(block.address);
            settle.run();
            Status.cuda(cudart.cuMemFree(block.address), "cuMemFree");
            return;
        }
        free.give(block.address - base, block.bytes);
        freed.freed(block.address, block.bytes);
    }

    /** The bytes of the pool; 0 if every block is an allocation of its own. */
    long capacity() {
        return capacity;
    }

    @Override
    public long used() {
        return used;
    }

    @Override
    public long peak() {
        return peak;
    }

    @Override
    public void forgetPeak() {
        peak = used;
    }

    @Override
    public long usualLimit() {
        return capacity == 0 ? Long.MAX_VALUE : (long) (capacity * STORED_SHARE);
    }

    @Override
    public long mostTensorBytes() {
        return MOST_TENSOR_BYTES;
    }

    /** How many blocks are out. */
    long blocks() {
        return blocks;
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        Resources memory = new Resources();
        ownAllocations.forEach(a -> memory.add(() -> Status.cuda(cudart.cuMemFree(a), "cuMemFree")));
        if (base != 0) {
            memory.add(() -> Status.cuda(cudart.cuMemFree(base), "cuMemFree", "the memory pool"));
        }
        memory.close();
    }
}
