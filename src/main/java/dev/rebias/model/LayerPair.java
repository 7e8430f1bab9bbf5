package dev.rebias.model;

/**
 * A layer of the quantised model and the same layer of the float model, read in the quantised one's spelling: their
 * weights have one shape, their ops are equal, and their outputs mean the same.
 *
 * @param quantized the quantised layer
 * @param floating the float layer
 * @param bridge what the float model needs beside its own nodes to compute that layer
 * @param likeness how alike their weights are
 */
public record LayerPair(Layer quantized, Layer floating, Bridge bridge, Likeness likeness) {
    /** The name of the layer in the quantised model. */
    public String name() {
        return quantized.name();
    }
}
