package dev.rebias.device.cuda;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;
import java.util.Optional;
import java.util.function.Supplier;
import org.bytedeco.cuda.cudart.CUevent_st;

/**
 * Blocks that held large uploads, set aside for the next ones. Any other block may be in use by all that the compute stream was given so far, and an upload into it has to wait
 * for that; one from here waits only for what used the upload that it held, two batches ago. So uploads overlap with compute, and the host does not wait in {@link PinnedRing} for the
 * work of other batches. What is set aside is no memory in use: the pool takes it back when it runs short.
 */
final class UploadBlocks {
    /** The bytes of an upload from which on it matters: samples, rather than constants. */
    private static final long LARGE = 1 << 20;
    /** One for the next upload, whose work may not have ended, and one for the one after it. */
    private static final int MOST = 2;

    private final MemoryPool pool;
    private final Events events;
    private final Supplier<CUevent_st> mark;
    private final Deque<Held> held = new ArrayDeque<>();

    /**
     * A block that is set aside.
     *
     * @param used what the next upload into it waits for
     */
    record Held(MemoryPool.Block block, CUevent_st used) {}

    /**
     * Sets nothing aside yet.
     *
     * @param mark records an event at the present end of the compute stream
     */
    UploadBlocks(MemoryPool pool, Events events, Supplier<CUevent_st> mark) {
        this.pool = pool;
        this.events = events;
        this.mark = mark;
        pool.beforeShortage(this::giveBack);
    }

    /** The block that was set aside first of those of that size, if there are enough of them that its work will have ended before that of the present batch. */
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
        pool.setAside(block);
        held.add(new Held(block, mark.get()));
        while (held.size() > MOST) {
            drop(held.remove());
        }
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
    }
}
