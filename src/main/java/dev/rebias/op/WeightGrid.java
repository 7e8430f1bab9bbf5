package dev.rebias.op;

/**
 * The values that a layer's weights can take where they are stored: whole multiples of a step each. Weights are
 * numbered as the layer stores them, row-major.
 */
public interface WeightGrid {
    /** The weights now, as multiples of their steps; not to be changed. */
    double[] multiples();

    /** The step of a weight, as the layer multiplies by it. */
    double step(int weight);

    /** The least multiple that a weight can be. */
    double lowest(int weight);

    /** The largest multiple that a weight can be. */
    double highest(int weight);
}
