package dev.rebias;

import dev.rebias.error.UnsupportedException;
import dev.rebias.model.InputRanges;
import dev.rebias.samples.Batches;
import dev.rebias.samples.BoundSamples;
import dev.rebias.samples.InputSpec;
import dev.rebias.samples.InputSurvey;
import dev.rebias.samples.Normalization;
import dev.rebias.samples.SampleSurvey;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.IntUnaryOperator;

/** Whether samples are many enough, different, and of the kind that the model was made for. */
final class SampleChecks {
    /** From fewer samples than these corrections are mostly noise. */
    private static final int FEW = 16;

    private final List<InputSpec> inputs;
    private final List<Optional<InputSurvey.Range>> ranges;
    private final Normalization normalization;

    SampleChecks(NetworkInputs networkInputs, Normalization normalization) {
        this.inputs = networkInputs.ofSweep();
        this.ranges = networkInputs.quantized().inputs().stream()
                .map(i -> InputRanges.of(networkInputs.quantized(), i.name())
                        .map(r -> new InputSurvey.Range(r.least(), r.most(), r.step())))
                .toList();
        this.normalization = normalization;
    }

    /** A survey that has seen nothing yet. */
    SampleSurvey survey() {
        return new SampleSurvey(inputs, ranges);
    }

    /**
     * Looks at some samples before the work begins.
     *
     * @param anyway whether to go on with what does not fit at all
     * @throws UnsupportedException if most values are outside of what the model's input quantiser holds
     */
    void refuseGrossMisfit(BoundSamples some, boolean anyway) {
        SampleSurvey survey = new SampleSurvey(inputs, ranges, false);
        try (Batches batches = some.observed(survey).batches(1)) {
            while (batches.hasNext()) {
                batches.stored();
                survey.catchUp();
            }
        }
        for (InputSurvey input : survey.inputs()) {
            Optional<SampleFit> fit = SampleFit.of(input, normalization).filter(SampleFit::gross);
            if (fit.isPresent() && !anyway) {
                throw new UnsupportedException("these are not the model's samples: "
                        + fit.get().sentence() + "; `anySamples` goes on all the same");
            }
        }
    }

    SamplesUsed used(SampleSurvey survey, int heldOut) {
        return new SamplesUsed(
                survey.count(), heldOut, survey.distinct(), survey.hash(), normalization, survey.inputs());
    }

    /**
     * What is to be said of the samples, one sentence each.
     *
     * @param number gives the number in the whole set of one of those that corrections come from
     */
    List<String> warnings(SamplesUsed used, IntUnaryOperator number, List<InputSurvey> surveys) {
        List<String> all = new ArrayList<>();
        for (InputSurvey input : surveys) {
            SampleFit.of(input, normalization).ifPresent(fit -> all.add(fit.sentence()));
            if (input.constant() > 0 && input.constant() < used.correcting()) {
                all.add("sample " + number.applyAsInt(input.firstConstant()) + " (counted from 0)"
                        + (input.constant() > 1 ? " and " + (input.constant() - 1) + " more" : "")
                        + " for input '" + input.name()
                        + "' has one value throughout: is it damaged? It counts as much as every other");
            }
        }
        if (used.correcting() > 1 && used.distinct() == 1) {
            all.add("all " + used.correcting() + " samples are alike: they say what one says; give different ones");
        } else if (2 * used.distinct() <= used.correcting()) {
            all.add("of " + used.correcting() + " samples only " + used.distinct()
                    + " are different: repeated ones count as often as they are there");
        }
        if (used.correcting() < FEW) {
            all.add("corrections come from " + used.correcting() + (used.correcting() == 1 ? " sample" : " samples")
                    + ", and from fewer than " + FEW + " they may be more noise than error: give 64 or more");
        }
        return all;
    }
}
