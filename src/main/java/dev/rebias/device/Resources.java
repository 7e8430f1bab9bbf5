package dev.rebias.device;

import java.util.ArrayDeque;
import java.util.Deque;

/**
 * Things to be given back in the reverse of the order in which they were made, each once, also when giving one back
 * fails.
 */
public final class Resources implements AutoCloseable {
    /** Gives one thing back. */
    @FunctionalInterface
    public interface Release {
        void run();
    }

    private final Deque<Release> releases = new ArrayDeque<>();

    public void add(Release release) {
        releases.push(release);
    }

    @Override
    public void close() {
        RuntimeException failure = null;
        while (!releases.isEmpty()) {
            try {
                releases.pop().run();
            } catch (RuntimeException e) {
                if (failure == null) {
                    failure = e;
                } else {
                    failure.addSuppressed(e);
                }
            }
        }
        if (failure != null) {
            throw failure;
        }
    }
}
