package dev.rebias.device;

/**
 * Sums of the columns of a layer's input and of products of two columns, from which means and mean squares of its
 * errors follow. Takes the integers of the layer's input; for two networks the float layer's FLOAT input first.
 */
public interface Gram extends Sums {
    /** The sums of all that has been added; waits for it. Once; nothing may be added any more. */
    GramTotals totals();
}
