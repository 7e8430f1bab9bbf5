package dev.rebias.sweep;

import java.util.List;

/**
 * What memory a sweep takes, as seen when one batch went through it. Every batch takes as much, so what any number of
 * samples takes follows.
 *
 * @param batchSize the samples of that batch
 * @param threads how many batches are worked on at once
 * @param segments one for each segment of the plan
 */
public record Footprint(int batchSize, int threads, List<Segment> segments) {
    public Footprint {
        segments = List.copyOf(segments);
    }

    /**
     * One segment, and the barrier that ends it. All numbers are bytes of tensors on the device, of one batch but for
     * the first.
     *
     * @param steps how many steps it has
     * @param layers the layers whose corrections are known at the barrier
     * @param shared what is there whatever the number of batches
     * @param entering the samples of a batch, of which one enters ahead of those worked on; nothing but in the first
     * @param arriving what a batch has when the segment begins; nothing in the first, which samples enter one by one
     * @param working the most that it has while it is worked on
     * @param waiting what it has at the barrier: its part of the frontier
     */
    public record Segment(
            int steps, List<String> layers, long shared, long entering, long arriving, long working, long waiting) {
        public Segment {
            layers = List.copyOf(layers);
        }
    }

    /** The frontier at the barrier behind a segment, for that many samples, in bytes. */
    public long frontier(Segment segment, long samples) {
        return Math.round(segment.waiting() * batches(samples));
    }

    /**
     * The most bytes of tensors on the device at once within a segment, for that many samples: batches that are worked
     * on, while the others wait before or behind it.
     */
    public long peak(Segment segment, long samples) {
        double batches = batches(samples);
        double active = Math.min(threads, batches);
        long idle = Math.max(segment.arriving(), segment.waiting());
        long ahead = batches > active ? Math.max(0, segment.entering() - idle) : 0;
        return segment.shared() + Math.round(active * segment.working() + (batches - active) * idle) + ahead;
    }

    /** The most bytes of tensors on the device at once in the whole sweep, for that many samples. */
    public long peak(long samples) {
        return segments.stream().mapToLong(s -> peak(s, samples)).max().orElse(0);
    }

    private double batches(long samples) {
        return (double) samples / batchSize;
    }
}
