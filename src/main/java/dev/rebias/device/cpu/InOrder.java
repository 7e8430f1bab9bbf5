package dev.rebias.device.cpu;

import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;

/** Takes batches' results from several threads, in any order, and passes them on in the order of their numbers, one at a time. */
final class InOrder<T> {
    private final Consumer<T> to;
    private final Map<Integer, T> early = new HashMap<>();
    private int next;

    InOrder(Consumer<T> to) {
        this.to = to;
    }

    synchronized void enter(int number, T result) {
        early.put(number, result);
        for (T ready = early.remove(next); ready != null; ready = early.remove(next)) {
            next++;
            to.accept(ready);
        }
    }
}
