package dev.rebias.device;

/**
 * Sums of a layer's errors and of its float outputs, both without the biases, which follow in closed form. Takes two
 * FLOAT tensors of one shape: the error or the float layer's output, and the quantised layer's output; or what
 * {@link Device#inputErrorSums} says.
 */
public interface ErrorSums extends Sums {
    /** The sums of all that has been added; waits for it. */
    ErrorTotals totals();
}
