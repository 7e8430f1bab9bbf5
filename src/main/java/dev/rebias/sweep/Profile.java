package dev.rebias.sweep;

import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;

/**
 * Where a sweep's time went, by kind of work. On a device that works by itself it is the time that giving orders took.
 * Safe for use by several threads.
 */
public final class Profile {
    private final Map<String, Counter> counters = new ConcurrentHashMap<>();

    /**
     * What one kind of work came to.
     *
     * @param work its name: what is done by which operation
     * @param seconds the time it took, all threads together
     * @param bytes of the tensors that went in and came out
     * @param multiplications of layers: how many products were added up
     */
    public record Entry(String work, double seconds, long bytes, long multiplications) {}

    /** What one kind of work comes to. */
    static final class Counter {
        private final LongAdder nanos = new LongAdder();
        private final LongAdder bytes = new LongAdder();
        private final LongAdder multiplications = new LongAdder();

        private Counter() {}

        void add(long moreNanos, long moreBytes, long moreMultiplications) {
            nanos.add(moreNanos);
            bytes.add(moreBytes);
            multiplications.add(moreMultiplications);
        }
    }

    /** The counter of one kind of work. */
    Counter counter(String work) {
        return counters.computeIfAbsent(work, k -> new Counter());
    }

    void add(String work, long nanos, long bytes, long multiplications) {
        counter(work).add(nanos, bytes, multiplications);
    }

    /** Adds the time since then, by {@link System#nanoTime}, of work that is not told by its tensors. */
    void spent(String work, long start) {
        add(work, System.nanoTime() - start, 0, 0);
    }

    /** All kinds of work, the longest first. */
    public List<Entry> entries() {
        return counters.entrySet().stream()
                .filter(e -> e.getValue().nanos.sum() > 0)
                .map(e -> new Entry(
                        e.getKey(),
                        e.getValue().nanos.sum() / 1e9,
                        e.getValue().bytes.sum(),
                        e.getValue().multiplications.sum()))
                .sorted(Comparator.comparingDouble(Entry::seconds).reversed())
                .toList();
    }
}
