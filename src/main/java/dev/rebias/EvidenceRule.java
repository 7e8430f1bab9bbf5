package dev.rebias;

import dev.rebias.error.UnsupportedException;
import dev.rebias.measure.Moments;
import dev.rebias.model.LayerPair;
import dev.rebias.op.BiasGrid;
import dev.rebias.sweep.CorrectionRule;
import dev.rebias.sweep.LayerMoments;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** Corrections without what is noise, and without what does not hold on samples that they have not seen. */
final class EvidenceRule implements CorrectionRule {
    private final List<LayerPair> layers;
    private final CorrectionOptions options;
    /** By layer, the channels whose corrections were given up. */
    private final Map<Integer, List<Integer>> givenUp = new HashMap<>();

    EvidenceRule(List<LayerPair> layers, CorrectionOptions options) {
        this.layers = layers;
        this.options = options;
    }

    /**
     * The channels of a layer whose corrections were given up, because their error on held-out samples would have
     * risen.
     */
    List<Integer> givenUp(int layer) {
        return givenUp.getOrDefault(layer, List.of());
    }

    @Override
    public float[] correction(int layer, LayerMoments measured, BiasGrid grid) {
        float[] delta = measured.moments().delta().clone();
        if (options.shrink()) {
            shrink(layer, measured.moments(), grid, delta);
        }
        if (options.gate() != Gate.NONE) {
            gate(layer, measured.heldOut().orElseThrow(), delta);
        }
        return delta;
    }

    private void shrink(int layer, Moments measured, BiasGrid grid, float[] delta) {
        if (measured.samples() < 2) {
            throw new UnsupportedException(
                    "one sample has no standard error to shrink corrections by: give more samples");
        }
        double[] bias = layers.get(layer).quantized().bias();
        for (int c = 0; c < delta.length; c++) {
            double mean = measured.perChannel().orElseThrow().meanError()[c];
            double error = measured.standardError(c).orElseThrow();
            double left = mean == 0 ? 0 : mean * Math.max(0, 1 - error * error / (mean * mean));
            double held = grid.correction(c, bias[c], left);
            delta[c] = delta[c] == 0 || Double.isInfinite(held) ? 0 : (float) held;
        }
    }

    /** By delta the mean squared error changes by delta^2 - 2 delta E[e]. */
    private void gate(int layer, Moments heldOut, float[] delta) {
        double[] means = heldOut.perChannel().orElseThrow().meanError();
        double[] rises = IntStream.range(0, delta.length)
                .mapToDouble(c -> delta[c] * (delta[c] - 2 * means[c]))
                .toArray();
        double sum = IntStream.range(0, rises.length).mapToDouble(c -> rises[c]).sum();
        List<Integer> channels = new ArrayList<>();
        for (int c = 0; c < delta.length; c++) {
            if (delta[c] != 0 && (options.gate() == Gate.CHANNEL ? rises[c] > 0 : sum > 0)) {
                delta[c] = 0;
                channels.add(c);
            }
        }
        givenUp.put(layer, List.copyOf(channels));
    }
}
