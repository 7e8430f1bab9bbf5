package dev.rebias.measure;

import dev.rebias.op.BiasGrid;

/**
 * A layer's biases, one value per output channel.
 *
 * @param quantized the quantised layer's, before the correction
 * @param reference the float layer's
 * @param grid the values that the quantised layer's can take in its file
 */
public record Biases(double[] quantized, double[] reference, BiasGrid grid) {
    public Biases {
        quantized = quantized.clone();
        reference = reference.clone();
    }

    int channels() {
        return quantized.length;
    }

    /** The error that the biases make: b_f - b_q. */
    double error(int c) {
        return reference[c] - quantized[c];
    }
}
