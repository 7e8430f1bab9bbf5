package dev.rebias;

import dev.rebias.error.UnsupportedException;
import dev.rebias.model.OnnxModel;
import dev.rebias.outcome.NetworkDistance;
import dev.rebias.outcome.Networks;
import dev.rebias.outcome.Outcome;
import dev.rebias.outcome.OutcomeMeasurement;
import dev.rebias.samples.BoundSamples;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What corrections were worth, and which was worth most.
 *
 * @param part this participant's part of the samples
 * @param parts how the samples of all parts were divided
 */
record Outcomes(BiasCorrection owner, PartOfSamples part, List<Sharing.Part> parts) {
    /** On so many samples the outcome is measured, at most. */
    private static final int SAMPLES = 64;

    /**
     * What each correction was worth, on samples that are spread over those of all parts; every network runs once on
     * each.
     *
     * @param corrected a model for each correction
     * @param correcting whether they were corrected at all, or measured only
     * @param samples those that corrections come from
     * @param heldOut others, on which it is measured where there are some
     */
    List<Optional<Outcome>> of(
            List<OnnxModel> corrected, boolean correcting, BoundSamples samples, Optional<BoundSamples> heldOut) {
        long start = System.nanoTime();
        List<OnnxModel> models = new ArrayList<>(List.of(owner.quantizedModel()));
        if (correcting) {
            models.addAll(corrected);
        }
        NetworkInputs inputs = owner.networkInputs();
        BoundSamples own = heldOut.orElse(samples);
        int batch = owner.fixedBatch(own).orElse(1);
        List<NetworkDistance> distances = OutcomeMeasurement.measure(
                new Networks(owner.floatModel(), models, inputs::ofFloatFile, inputs::ofQuantizedFile),
                some(own, heldOut.isPresent(), batch),
                batch,
                part.rounds());
        double seconds = (System.nanoTime() - start) / 1e9;
        List<Optional<Outcome>> all = new ArrayList<>();
        for (int i = 0; i < corrected.size(); i++) {
            all.add(Optional.of(
                    Outcome.of(distances.get(0), distances.get(correcting ? i + 1 : 0), heldOut.isPresent(), seconds)));
        }
        return all;
    }

    /** Those of this part; for a model that fixes its batch in whole ones, of each part as many. */
    private Optional<BoundSamples> some(BoundSamples own, boolean heldOut, int batch) {
        if (batch > 1) {
            int count = Math.max(batch, SAMPLES / parts.size() / batch * batch);
            return Optional.of(own.spread(Math.min(count, own.count())));
        }
        List<Integer> counts =
                parts.stream().map(p -> heldOut ? p.heldOut() : p.correcting()).toList();
        int before = counts.stream().limit(part.number()).mapToInt(c -> c).sum();
        return own.spread(SAMPLES, before, counts.stream().mapToInt(c -> c).sum());
    }

    /**
     * The number of the best outcome, the first where they are equal; corrections that are mostly noise come last,
     * whatever a few samples say of them.
     */
    static int best(List<Optional<Outcome>> outcomes, List<Optional<Sufficiency>> sufficiency) {
        int best = 0;
        for (int i = 1; i < outcomes.size(); i++) {
            Outcome own = outcomes.get(i).orElseThrow();
            if (own.verdict() == Outcome.Verdict.UNKNOWN) {
                throw new UnsupportedException(
                        "no output of the two networks can be compared (" + String.join("; ", own.notCompared())
                                + "), so the better reference cannot be chosen: name one, `reference` layer or "
                                + "network");
            }
            boolean noise = sufficiency.get(i).filter(Sufficiency::isNoise).isPresent();
            boolean leastNoise =
                    sufficiency.get(best).filter(Sufficiency::isNoise).isPresent();
            double least = outcomes.get(best).orElseThrow().change();
            boolean nearer = own.change() < least || (Double.isNaN(least) && !Double.isNaN(own.change()));
            if (noise == leastNoise ? nearer : leastNoise) {
                best = i;
            }
        }
        return best;
    }
}
