package dev.rebias.device.cuda;

import dev.rebias.device.Resources;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * Things made one after another that belong together: if making one of them fails, those before it are closed. For
 * try-with-resources.
 */
final class Partial implements AutoCloseable {
    private final Deque<AutoCloseable> made = new ArrayDeque<>();

    <T extends AutoCloseable> T keep(T thing) {
        made.push(thing);
        return thing;
    }

    /** All are made, and now their owner's. */
    void complete() {
        made.clear();
    }

    @Override
    public void close() {
        Resources all = new Resources();
        while (!made.isEmpty()) {
            AutoCloseable thing = made.pollLast();
            all.add(() -> close(thing));
        }
        all.close();
    }

    private static void close(AutoCloseable thing) {
        try {
            thing.close();
        } catch (RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new IllegalStateException("closing failed with an exception that none of these throws", e);
        }
    }
}
