package dev.rebias.device.cuda;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;
import java.util.Optional;
import org.bytedeco.cuda.cudart.CUevent_st;
import org.bytedeco.cuda.cudart.CUstream_st;

/**
 * Blocks that held large uploads, set aside for the next ones. Any other block may be in use by all that the compute
 * stream was given so far, and an upload into it has to wait for that; one from here waits only for what used the
 * upload that it held, two batches ago. So uploads overlap with compute, and the host does not wait in
 * {@link PinnedRing} for the work of other batches. Beside them one block for samples on their way that are stored as
 * bytes, which only the upload stream uses. What is set aside is no memory in use: the pool takes it back when it runs
 * short.
 */
final class UploadBlocks {
    /** The bytes of an upload from which on it matters: samples, rather than constants. */
    private static final long LARGE = 1 << 20;
    /** One for the next upload, whose work may not have ended, and one for the one after it. */
    private static final int MOST = 2;

    private final MemoryPool pool;
    private final Events events;
    private final CUstream_st compute;
    private final CUstream_st uploads;
    private final Deque<Held> held = new ArrayDeque<>();
    private Optional<Held> staging = Optional.empty();

    /**
     * A block that is set aside.
     *
     * @param used what the next upload into it waits for
     */
    record Held(MemoryPool.Block block, CUevent_st used) {}

    /** Sets nothing aside yet. */
    UploadBlocks(MemoryPool pool, Events events, CUstream_st compute, CUstream_st uploads) {
        this.pool = pool;
        this.events = events;
        this.compute = compute;
        this.uploads = uploads;
        pool.beforeShortage(this::giveBack);
    }

    /**
     * The block that was set aside first of those of that size, if there are enough of them that its work will have
     * ended before that of the present batch.
     */
    Optional<Held> take(long bytes) {
        if (held.size() < MOST) {
            return Optional.empty();
        }
        for (Iterator<Held> each = held.iterator(); each.hasNext(); ) {
            Held one = each.next();
            if (one.block().fits(bytes)) {
                each.remove();
                pool.takeBack(one.block());
                return Optional.of(one);
            }
        }
        return Optional.empty();
    }

    /** Takes over a block that held an upload and that nobody uses any more. */
    void keep(MemoryPool.Block block) {
        if (!pool.pooled() || block.bytes() < LARGE) {
            block.close();
            return;
        }
        // What writes over it comes before the event that whoever has it next waits for.
        pool.forget(block);
        Held last = usedBy(compute, block);
        pool.setAside(block);
        held.add(last);
        while (held.size() > MOST) {
            drop(held.remove());
        }
    }

    /**
     * A block for bytes that the upload stream will have read when it comes to what is put on it next: the last one if
     * it is as large, or a new one, which waits for the compute stream's work so far.
     */
    MemoryPool.Block stage(long bytes) {
        if (staging.isPresent() && staging.get().block().bytes() >= bytes) {
            Held last = staging.get();
            staging = Optional.empty();
            events.done(last.used());
            pool.takeBack(last.block());
            return last.block();
        }
        dropStaging();
        MemoryPool.Block block = pool.allocate(bytes, "samples stored as bytes, " + bytes + " of them");
        if (!block.fresh()) {
            events.await(uploads, events.record(compute));
        }
        return block;
    }

    /** Takes over a block of {@link #stage} whose bytes the upload stream has been told to read. */
    void staged(MemoryPool.Block block) {
        Held last = usedBy(uploads, block);
        if (pool.pooled() && Float.BYTES * block.bytes() >= LARGE) {
            pool.setAside(block);
            staging = Optional.of(last);
        } else {
            events.await(compute, last.used());
            block.close();
        }
    }

    /** A block with an event behind what a stream was given so far; without one nobody will have the block. */
    private Held usedBy(CUstream_st stream, MemoryPool.Block block) {
        try {
            return new Held(block, events.record(stream));
        } catch (RuntimeException | Error e) {
            try {
                block.close();
            } catch (RuntimeException | Error alsoFailed) {
                e.addSuppressed(alsoFailed);
            }
            throw e;
        }
    }

    private void dropStaging() {
        staging.ifPresent(last -> {
            // Whoever gets the block next is ordered by the compute stream.
            events.await(compute, last.used());
            pool.takeBack(last.block());
            last.block().close();
        });
        staging = Optional.empty();
    }

    private void drop(Held one) {
        events.done(one.used());
        pool.takeBack(one.block());
        one.block().close();
    }

    private void giveBack() {
        while (!held.isEmpty()) {
            drop(held.remove());
        }
        dropStaging();
    }
}
