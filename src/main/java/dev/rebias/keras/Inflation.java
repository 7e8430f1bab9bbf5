package dev.rebias.keras;

/**
 * How much a compressed file may hold. Keras stores weights as they are; people who compress them gain a factor of two
 * to ten, with many zeros more. Deflate itself makes a thousand bytes of one, so that a file of a few megabytes could
 * fill any memory.
 */
final class Inflation {
    private static final long FACTOR = 20;
    /** What any file may hold: small models of zeros. */
    private static final long LEAST = 64 << 20;

    private Inflation() {}

    /** The most bytes that a file of this many may hold in all. */
    static long most(long stored) {
        return Math.max(LEAST, FACTOR * stored);
    }
}
