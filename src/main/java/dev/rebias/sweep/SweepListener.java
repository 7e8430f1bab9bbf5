package dev.rebias.sweep;

/** Hears what a run is at, and how far a sweep has come. Called by one thread at a time, not always the same. */
@FunctionalInterface
public interface SweepListener {
    /** A phase begins, and the one before it is over: {@code "checking samples"}, say. */
    default void phase(String name) {}

    /** A layer's correction is known. */
    default void solved(String layer) {}

    /** One batch has gone through one segment: {@code done} of {@code total} such pieces of work. */
    void progress(long done, long total);
}
