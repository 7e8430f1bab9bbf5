package dev.rebias.sweep;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntConsumer;

/** Shares out batches to threads, of which the calling one is the first: so with one there is no other, and between two barriers only the others have to wake up. */
final class Workers implements AutoCloseable {
    private final int others;
    private final ExecutorService executor;

    Workers(int threads) {
        this.others = threads - 1;
        this.executor = Executors.newFixedThreadPool(Math.max(1, others), work -> {
            Thread thread = new Thread(work, "rebias-sweep");
            thread.setDaemon(true);
            return thread;
        });
    }

    /**
     * Works on the batches 0 to count - 1, beginning them in that order.
     *
     * @throws RuntimeException what the work on a batch threw first; no other batch is begun then, and those that were have ended
     */
    void forEach(int count, IntConsumer work) {
        AtomicInteger next = new AtomicInteger();
        AtomicReference<Throwable> failure = new AtomicReference<>();
        Runnable share = () -> {
            try {
                for (int b = next.getAndIncrement(); b < count; b = next.getAndIncrement()) {
                    work.accept(b);
                }
            } catch (RuntimeException | Error e) {
                next.set(count);
                failure.compareAndSet(null, e);
            }
        };
        List<Future<?>> running = new ArrayList<>();
        for (int t = 0; t < Math.min(others, count - 1); t++) {
            running.add(executor.submit(share));
        }
        share.run();
        await(running);
        if (failure.get() instanceof Error e) {
            throw e;
        }
        if (failure.get() != null) {
            throw (RuntimeException) failure.get();
        }
    }

    private static void await(List<Future<?>> running) {
        boolean interrupted = false;
        for (Future<?> one : running) {
            while (!one.isDone()) {
                try {
                    one.get();
                } catch (ExecutionException e) {
                    throw new IllegalStateException(e); // a share keeps what it throws to itself
                } catch (InterruptedException e) {
                    interrupted = true; // tensors are in use until the work has ended
                }
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void close() {
        executor.shutdown();
    }
}
