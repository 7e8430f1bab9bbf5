package dev.rebias.rounding;

import java.util.function.IntConsumer;

/** Does pieces of work that do not depend on each other, on as many threads as there are. */
@FunctionalInterface
public interface Parallel {
    /** One after the other, in the calling thread. */
    Parallel NONE = (count, work) -> {
        for (int i = 0; i < count; i++) {
            work.accept(i);
        }
    };

    /** Calls {@code work} with every number below {@code count} once, in any order, and returns when all are done. */
    void forEach(int count, IntConsumer work);
}
