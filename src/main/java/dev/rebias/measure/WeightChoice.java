package dev.rebias.measure;

import java.util.Optional;

/**
 * What became of a layer's weights.
 *
 * @param multiples the weights as multiples of their steps, as the layer stores them: the old ones where
 *     {@code adjusted} is false
 * @param adjusted whether any new weights were taken
 * @param moved the share of weights that are others than before, 0 to 1
 * @param mseWithBias E[e^2] with the old weights and a correction of the bias alone
 * @param heldOut what held-out samples say; empty where none were held out
 */
public record WeightChoice(
        double[] multiples, boolean adjusted, double moved, double mseWithBias, Optional<HeldOut> heldOut) {
    /**
     * The errors of samples that the weights do not come from.
     *
     * @param mseWithBias E[e^2] with the old weights and a correction of the bias
     * @param mseWithWeights the same with the weights that were chosen, taken or not
     */
    public record HeldOut(double mseWithBias, double mseWithWeights) {}
}
