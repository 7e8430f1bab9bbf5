package dev.rebias.sweep;

/** Hears how far a sweep has come. Called on the sweep's thread. */
@FunctionalInterface
public interface SweepListener {
    /** One batch has gone through one segment: {@code done} of {@code total} such pieces of work. */
    void progress(long done, long total);
}
