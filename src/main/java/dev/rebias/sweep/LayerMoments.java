package dev.rebias.sweep;

import dev.rebias.measure.Moments;
import dev.rebias.measure.WeightChoice;
import java.util.Optional;

/**
 * What was measured of a layer, and how it was corrected.
 *
 * @param moments of the samples that corrections come from
 * @param heldOut of those that are held out, if any are: what the same correction does to their errors
 * @param weights what became of its weights, where these were to be chosen anew
 */
public record LayerMoments(Moments moments, Optional<Moments> heldOut, Optional<WeightChoice> weights) {
    /** The same with another correction. */
    LayerMoments corrected(float[] delta) {
        return new LayerMoments(moments.withDelta(delta), heldOut.map(h -> h.withDelta(delta)), weights);
    }
}
