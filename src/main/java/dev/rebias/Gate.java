package dev.rebias;

/** Which corrections are given up where they do not hold on samples that they have not seen. */
public enum Gate {
    /** None: the definition says that every layer is corrected. */
    NONE,
    /** Those of layers whose mean squared error on held-out samples would rise. */
    LAYER,
    /** Those of single channels whose mean squared error on held-out samples would rise. */
    CHANNEL
}
