package dev.rebias.device.cpu.memory;

import dev.rebias.device.DeviceMemory;
import dev.rebias.device.FreeRanges;
import dev.rebias.error.UnsupportedException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;

/**
 * The CPU device's memory: taken from the system in large pieces and given out in blocks, so that a page is touched for
 * the first time only once. Counts the tensors that are alive and the bytes given out. Safe for use by several threads.
 */
public final class HostMemory implements DeviceMemory, AutoCloseable {
    /** A cache line: every block begins on a multiple of this. */
    private static final long ALIGNMENT = 64;

    private static final long PIECE = 256L << 20;

    private final List<Piece> pieces = new ArrayList<>();
    private long bytes;
    private long peak;
    private final LongAdder tensors = new LongAdder();
    private volatile boolean closed;

    /** Memory that the system gave. */
    private static final class Piece {
        private final BytePointer pointer;
        private final long address;
        private final ByteBuffer buffer;
        private final FreeRanges free;

        Piece(long size) {
            BytePointer raw = new BytePointer(Pointer.malloc(size + ALIGNMENT));
            if (raw.isNull()) {
                throw new UnsupportedException("the machine has no " + size
                        + " bytes of memory left for tensors: use `memoryLimit`, a smaller `batchSize` "
                        + "or fewer samples (`limit`)");
            }
            pointer = raw;
            long aligned = (raw.address() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
            address = aligned;
            buffer = new Address().at(aligned).buffer(size);
            free = new FreeRanges(size);
        }
    }

    /** A block of memory, shared by all tensors that are views of it. The last one to release it gives it back. */
    final class Block {
        private final Piece piece;
        private final long offset;
        private final long size;
        private final ByteBuffer buffer;
        private final AtomicInteger users = new AtomicInteger(1);

        private Block(Piece piece, long offset, long size, int used) {
            this.piece = piece;
            this.offset = offset;
            this.size = size;
            this.buffer = piece.buffer.slice(Math.toIntExact(offset), used).order(ByteOrder.nativeOrder());
        }

        /** The memory; for absolute access, which several threads may do at once. */
        ByteBuffer buffer() {
            return buffer;
        }

        long address() {
            return piece.address + offset;
        }

        Block share() {
            users.incrementAndGet();
            return this;
        }

        void release() {
            if (users.decrementAndGet() == 0) {
                give(this);
            }
        }
    }

    /**
     * Takes a block.
     *
     * @throws UnsupportedException if it is of 2 GiB or more, which no Java buffer reaches, or the machine has no more
     *     memory
     */
    synchronized Block allocate(long wanted) {
        if (wanted > Integer.MAX_VALUE - 2 * ALIGNMENT) {
            throw new UnsupportedException("a tensor of " + wanted
                    + " bytes is too large for the CPU device, which handles up to 2 GiB each: use a "
                    + "smaller `batchSize`");
        }
        long size = (Math.max(wanted, 1) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        for (Piece piece : pieces) {
            OptionalLong offset = piece.free.take(size);
            if (offset.isPresent()) {
                return block(piece, offset.getAsLong(), size, wanted);
            }
        }
        Piece piece = new Piece(Math.max(size, PIECE));
        pieces.add(piece);
        return block(piece, piece.free.take(size).orElseThrow(), size, wanted);
    }

    private Block block(Piece piece, long offset, long size, long used) {
        count(size);
        return new Block(piece, offset, size, Math.toIntExact(used));
    }

    private synchronized void give(Block block) {
        block.piece.free.give(block.offset, block.size);
        count(-block.size);
    }

    private void count(long more) {
        bytes += more;
        peak = Math.max(peak, bytes);
    }

    /** Counts a tensor, and the bytes that it has elsewhere. */
    void add(long elsewhere) {
        tensors.increment();
        if (elsewhere > 0) {
            countElsewhere(elsewhere);
        }
    }

    void remove(long elsewhere) {
        tensors.decrement();
        if (elsewhere > 0) {
            countElsewhere(-elsewhere);
        }
        if (closed) {
            freeUnused();
        }
    }

    private synchronized void countElsewhere(long more) {
        count(more);
    }

    @Override
    public synchronized long used() {
        return bytes;
    }

    @Override
    public synchronized long peak() {
        return peak;
    }

    @Override
    public synchronized void forgetPeak() {
        peak = bytes;
    }

    @Override
    public long usualLimit() {
        return Long.MAX_VALUE;
    }

    @Override
    public long mostTensorBytes() {
        return Integer.MAX_VALUE; // the limit of a Java buffer
    }

    /** How many tensors are alive. */
    public long tensors() {
        return tensors.sum();
    }

    /** Gives all memory back to the system: now, or where tensors are still alive, with the last of them. */
    @Override
    public void close() {
        closed = true;
        freeUnused();
    }

    private synchronized void freeUnused() {
        if (tensors.sum() == 0) {
            pieces.forEach(p -> Pointer.free(p.pointer));
            pieces.clear();
        }
    }
}
