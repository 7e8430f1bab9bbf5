package dev.rebias.sweep;

import dev.rebias.measure.Moments;
import java.util.Optional;

/**
 * What was measured of a layer, and how it was corrected.
 *
 * @param moments of the samples that corrections come from
 * @param heldOut of those that are held out, if any are: what the same correction does to their errors
 */
public record LayerMoments(Moments moments, Optional<Moments> heldOut) {
    /** The same with another correction. */
    LayerMoments corrected(float[] delta) {
        return new LayerMoments(moments.withDelta(delta), heldOut.map(h -> h.withDelta(delta)));
    }
}
