package dev.rebias.sweep;

import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** A thread that does one thing after the other, started when the first comes. */
final class FileThread implements AutoCloseable {
    private final ExecutorService executor = Executors.newSingleThreadExecutor(work -> {
        Thread thread = new Thread(work, "rebias-file");
        thread.setDaemon(true);
        return thread;
    });

    <T> Future<T> submit(Callable<T> work) {
        return executor.submit(work);
    }

    /**
     * What came of it, after waiting for that.
     *
     * @throws RuntimeException what it threw
     */
    static <T> T result(Future<T> of) {
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    return of.get();
                } catch (InterruptedException e) {
                    interrupted = true; // whoever asked for it looks at that when the work has ended
                } catch (ExecutionException e) {
                    if (e.getCause() instanceof Error error) {
                        throw error;
                    }
                    throw (RuntimeException) e.getCause();
                }
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    /** Ends when all that was given to it has been done. */
    @Override
    public void close() {
        Future<?> last = executor.submit(() -> {});
        executor.shutdown();
        result(last);
    }
}
