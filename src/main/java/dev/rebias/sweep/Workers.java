package dev.rebias.sweep;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;

/**
 * Shares out batches to threads, of which the calling one is the first: so with one there is no other. Who has nothing
 * to do looks again and again for a moment before it sleeps: barriers follow each other within milliseconds, and to be
 * woken up takes a good part of one.
 */
final class Workers implements AutoCloseable {
    /** How long to look before going to sleep. */
    private static final long AWAKE_NANOS = 300_000;

    private final List<Thread> others = new ArrayList<>();
    private final Thread caller = Thread.currentThread();
    /** The work of all, and its number; the number changes last. */
    private volatile Runnable share = () -> {};

    private final AtomicInteger number = new AtomicInteger();
    private volatile boolean closed;
    private final AtomicInteger busy = new AtomicInteger();

    /** Starts threads; only the thread that makes this object may give it work. */
    Workers(int threads) {
        for (int t = 1; t < threads; t++) {
            Thread thread = new Thread(this::work, "rebias-sweep");
            thread.setDaemon(true);
            others.add(thread);
            thread.start();
        }
    }

    private void work() {
        int done = 0;
        while (true) {
            int last = done;
            await(() -> number.get() != last || closed);
            if (closed) {
                return;
            }
            done++;
            try {
                share.run();
            } finally {
                if (busy.decrementAndGet() == 0) {
                    LockSupport.unpark(caller);
                }
            }
        }
    }

    private static void await(BooleanSupplier condition) {
        long start = System.nanoTime();
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() - start < AWAKE_NANOS) {
                Thread.onSpinWait();
            } else {
                LockSupport.park();
            }
        }
    }

    /** The same with nothing to do meanwhile. */
    void forEach(int count, IntConsumer work) {
        forEach(count, work, () -> {});
    }

    /**
     * Works on the batches 0 to count - 1, beginning them in that order.
     *
     * @param meanwhile what the first thread that finds no batch left to begin does while others may still be at work
     * @throws RuntimeException what the work on a batch, or what was done meanwhile, threw first; no other batch is
     *     begun then, and those that were have ended
     */
    void forEach(int count, IntConsumer work, Runnable meanwhile) {
        AtomicInteger next = new AtomicInteger();
        AtomicReference<Throwable> failure = new AtomicReference<>();
        AtomicBoolean taken = new AtomicBoolean();
        share = () -> {
            try {
                for (int b = next.getAndIncrement(); b < count; b = next.getAndIncrement()) {
                    work.accept(b);
                }
                if (failure.get() == null && taken.compareAndSet(false, true)) {
                    meanwhile.run();
                }
            } catch (Throwable e) { // a listener may throw what it does not declare
                failure.compareAndSet(null, e);
                next.set(count);
            }
        };
        busy.set(others.size());
        number.incrementAndGet();
        others.forEach(LockSupport::unpark);
        share.run();
        // Tensors are in use until the work has ended: an interruption is left to whoever looks for it then.
        boolean interrupted = false;
        while (busy.get() > 0) {
            interrupted |= Thread.interrupted();
            await(() -> busy.get() == 0 || caller.isInterrupted());
        }
        if (interrupted) {
            caller.interrupt();
        }
        Throwable thrown = failure.get();
        if (thrown instanceof Error e) {
            throw e;
        }
        if (thrown instanceof RuntimeException e) {
            throw e;
        }
        if (thrown != null) {
            throw new IllegalStateException(thrown);
        }
    }

    /** Ends the threads; when this returns they have ended. */
    @Override
    public void close() {
        closed = true;
        others.forEach(LockSupport::unpark);
        boolean interrupted = false;
        for (Thread other : others) {
            while (other.isAlive()) {
                try {
                    other.join();
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
        }
        if (interrupted) {
            caller.interrupt();
        }
    }
}
