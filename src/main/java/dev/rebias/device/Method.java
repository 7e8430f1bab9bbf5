package dev.rebias.device;

/** A way to find a layer's errors: which sums a device makes of what passes by. */
public enum Method {
    /** Every error is computed; its sums are {@link ErrorSums}. Any layer's errors can be found so. */
    ERRORS,
    /**
     * The same sums, of errors that the device computes from the layer's input and does not store: the layer itself
     * runs when its correction is known. In {@code network} the float layer's output is stored.
     */
    ERRORS_OF_INPUT,
    /**
     * The mean error follows from {@link ClassSums} of the layer's input, or of both networks' inputs. Any layer's mean
     * error can be found so.
     */
    CLASS_SUMS,
    /** Means and mean squares of the errors follow from {@link Gram} sums of the layer's input. */
    GRAM,
    /** The same where the float layer has an input of its own. */
    JOINT_GRAM,
    /**
     * New weights, and the errors that they make, follow from {@link UnfoldedSums} of the layer's input, or of both
     * networks' inputs.
     */
    UNFOLDED
}
