package dev.rebias;

import dev.rebias.measure.WeightChoice;
import dev.rebias.model.BiasSites;
import dev.rebias.model.Layer;
import dev.rebias.model.LayerPair;
import dev.rebias.model.SkippedLayer;
import dev.rebias.sweep.LayerMoments;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What became of every layer of the quantised model.
 *
 * @param layers those that were swept
 * @param moments what was measured of each
 * @param rule what decided about corrections, if anything did
 * @param weights whose weights were chosen anew
 * @param correcting whether corrections were applied, or only measured
 * @param shrunk whether corrections were made smaller by what is noise in them
 */
record LayerResults(
        BiasCorrection owner,
        List<LayerPair> layers,
        List<LayerMoments> moments,
        Optional<EvidenceRule> rule,
        WeightAdjustment weights,
        boolean correcting,
        boolean shrunk) {
    static boolean isZero(float[] delta) {
        for (float d : delta) {
            if (d != 0) {
                return false;
            }
        }
        return true;
    }

    /** All of them, in graph order. */
    List<LayerResult> all() {
        Map<String, Integer> order = new HashMap<>();
        owner.quantized().nodes().forEach(n -> order.putIfAbsent(n.fileOutput(), order.size()));
        List<LayerResult> results = new ArrayList<>();
        owner.pairing().pairs().forEach(p -> results.add(of(p)));
        for (SkippedLayer s : owner.pairing().skipped()) {
            results.add(new LayerResult(
                    s.name(),
                    s.output(),
                    s.output(),
                    s.op(),
                    s.channels(),
                    LayerResult.Status.SKIPPED,
                    Optional.of(s.reason()),
                    Optional.empty(),
                    Optional.empty(),
                    List.of(),
                    Optional.empty()));
        }
        results.sort(Comparator.comparing(r -> order.getOrDefault(r.output(), Integer.MAX_VALUE)));
        return results;
    }

    private LayerResult of(LayerPair pair) {
        int i = layers.indexOf(pair);
        Optional<String> reason = i < 0 ? Optional.of(skipped(pair)) : left(i);
        Layer q = pair.quantized();
        LayerResult.Status changed = owner.sites().storage(q).equals(BiasSites.NONE)
                ? LayerResult.Status.INSERTED
                : LayerResult.Status.CORRECTED;
        return new LayerResult(
                q.name(),
                q.fileOutput(),
                q.correctedOutput(),
                q.op().type(),
                q.channels(),
                i < 0 ? LayerResult.Status.SKIPPED : reason.isPresent() ? LayerResult.Status.LEFT : changed,
                reason,
                i < 0 ? Optional.empty() : Optional.of(moments.get(i).moments()),
                i < 0 ? Optional.empty() : moments.get(i).heldOut(),
                i < 0 ? List.of() : rule.map(r -> r.givenUp(i)).orElse(List.of()),
                i < 0 ? Optional.empty() : weights(pair, moments.get(i).weights()));
    }

    /** What became of a layer's weights, where weights were to be chosen anew. */
    private Optional<LayerResult.Weights> weights(LayerPair pair, Optional<WeightChoice> choice) {
        return choice.map(c -> new LayerResult.Weights(
                        c.moved(),
                        c.adjusted()
                                ? Optional.empty()
                                : Optional.of("the ones that were found do not make its errors smaller"
                                        + (c.heldOut().isPresent() ? " on held-out samples" : "")),
                        Optional.of(c.mseWithBias()),
                        c.heldOut()))
                .or(() -> weights.obstacle(pair)
                        .map(reason ->
                                new LayerResult.Weights(0, Optional.of(reason), Optional.empty(), Optional.empty())));
    }

    private static String skipped(LayerPair pair) {
        return pair.likeness().inputsRescaled()
                ? "its weights were scaled per input channel between the two models"
                : "left out by the selection of layers";
    }

    /** Why a layer that was measured was left as it was, if it was. */
    private Optional<String> left(int i) {
        if (!correcting) {
            return Optional.of("measured only");
        }
        if (rule.isEmpty() || !isZero(moments.get(i).moments().delta())) {
            return Optional.empty();
        }
        if (!rule.get().givenUp(i).isEmpty()) {
            return Optional.of("its mean squared error on held-out samples would rise");
        }
        return Optional.of(
                shrunk
                        ? "its corrections are no larger than their standard errors"
                        : "there is nothing to correct that its bias can hold");
    }
}
