package dev.rebias.sweep;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntConsumer;

/** Shares out batches to threads; with one, the calling thread does all the work. */
final class Workers implements AutoCloseable {
    private final int threads;
    private final ExecutorService executor;

    Workers(int threads) {
        this.threads = threads;
        this.executor = Executors.newFixedThreadPool(threads, work -> {
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
        if (threads == 1) {
            for (int b = 0; b < count; b++) {
                work.accept(b);
            }
            return;
        }
        AtomicInteger next = new AtomicInteger();
        List<Future<?>> running = new ArrayList<>();
        for (int t = 0; t < Math.min(threads, count); t++) {
            running.add(executor.submit(() -> {
                try {
                    for (int b = next.getAndIncrement(); b < count; b = next.getAndIncrement()) {
                        work.accept(b);
                    }
                } catch (RuntimeException | Error e) {
                    next.set(count);
                    throw e;
                }
            }));
        }
        await(running);
    }

    private static void await(List<Future<?>> running) {
        Throwable failure = null;
        boolean interrupted = false;
        for (Future<?> one : running) {
            while (!one.isDone() || failure == null) {
                try {
                    one.get();
                    break;
                } catch (ExecutionException e) {
                    failure = failure == null ? e.getCause() : failure;
                    break;
                } catch (InterruptedException e) {
                    interrupted = true; // tensors are in use until the work has ended
                }
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        if (failure instanceof Error e) {
            throw e;
        }
        if (failure != null) {
            throw (RuntimeException) failure;
        }
    }

    @Override
    public void close() {
        executor.shutdown();
    }
}
