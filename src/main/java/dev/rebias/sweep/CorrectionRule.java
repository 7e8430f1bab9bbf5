package dev.rebias.sweep;

import dev.rebias.op.BiasGrid;

/** How a layer's correction follows from what was measured of it, where it is not simply the mean error. */
@FunctionalInterface
public interface CorrectionRule {
    /**
     * A layer's correction.
     *
     * @param layer the layer's number in the plan
     * @param measured with statistics of channels; its delta is the mean error as the bias can hold it
     * @param grid what the layer's bias can hold
     * @return delta per channel, on that grid; 0 leaves a channel as it is
     */
    float[] correction(int layer, LayerMoments measured, BiasGrid grid);
}
