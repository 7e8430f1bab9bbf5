package dev.rebias.model;

/** A layer of the quantised model and the same layer of the float model. Their weights have one shape, and their ops are equal. */
public record LayerPair(Layer quantized, Layer floating) {
    /** The name of the layer in the quantised model. */
    public String name() {
        return quantized.name();
    }
}
