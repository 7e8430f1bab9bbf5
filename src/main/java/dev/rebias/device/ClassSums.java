package dev.rebias.device;

/**
 * Sums of a layer's input by {@linkplain dev.rebias.op.Taps class of taps}; sums of 8-bit integers are exact. Takes one
 * tensor: FLOAT, or the integers of quantised data.
 */
public interface ClassSums extends Sums {
    /** The sums of all that has been added; waits for it. */
    ClassTotals totals();
}
