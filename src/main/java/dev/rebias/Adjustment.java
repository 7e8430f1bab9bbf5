package dev.rebias;

/** What a correction changes. */
public enum Adjustment {
    /** The layers' biases. */
    BIASES,
    /** Every weight's rounding is chosen anew from the second moments of what the layer sees, then the biases. */
    WEIGHTS
}
