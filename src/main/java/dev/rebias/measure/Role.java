package dev.rebias.measure;

/** Which of a layer's tensors are measured. */
public enum Role {
    /** The quantised layer's input: FLOAT, or the integers of quantised data. */
    INPUT,
    /** The float layer's own input, FLOAT; it may come in another segment than the quantised layer's. */
    REFERENCE_INPUT,
    /** Both at once: the float layer's own input, then the quantised layer's. */
    INPUTS,
    /**
     * The error of the layer (reference {@code layer}) or the float layer's own output ({@code network}), then the
     * quantised layer's output, all without biases.
     */
    OUTPUTS,
    /** The float layer's own output, without its bias, then the quantised layer's input. */
    OUTPUT_AND_INPUT
}
