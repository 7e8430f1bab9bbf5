package dev.rebias.sweep;

/** Hears how far a sweep has come. Called by one thread at a time, not always the same. */
@FunctionalInterface
public interface SweepListener {
    /** One batch has gone through one segment: {@code done} of {@code total} such pieces of work. */
    void progress(long done, long total);
}
