package dev.rebias;

import dev.rebias.device.Device;
import dev.rebias.device.Transfers;
import dev.rebias.error.OutOfDeviceMemoryException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.measure.Moments;
import dev.rebias.model.BiasWriter;
import dev.rebias.model.Layer;
import dev.rebias.model.LayerPair;
import dev.rebias.model.Marks;
import dev.rebias.model.OnnxModel;
import dev.rebias.outcome.NetworkDistance;
import dev.rebias.outcome.Networks;
import dev.rebias.outcome.Outcome;
import dev.rebias.outcome.OutcomeMeasurement;
import dev.rebias.samples.BoundSamples;
import dev.rebias.samples.Normalization;
import dev.rebias.samples.SampleSurvey;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.CorrectionRule;
import dev.rebias.sweep.LayerMoments;
import dev.rebias.sweep.Plan;
import dev.rebias.sweep.Profile;
import dev.rebias.sweep.Reference;
import dev.rebias.sweep.Sweep;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/** One correction: the samples are looked at, one sweep or two are made, and of two the better is kept. */
final class CorrectionRun {
    /** On so many samples the outcome is measured, at most. */
    private static final int OUTCOME_SAMPLES = 64;

    /** So many samples are looked at before the work begins. */
    private static final int LOOKED_AT = 16;

    /** Samples that two sweeps need are kept in memory up to this size, and read twice beyond. */
    private static final long MOST_KEPT = 1L << 30;

    private final BiasCorrection owner;
    private final CorrectionOptions options;
    private final boolean correcting;
    private final BoundSamples bound;
    private final Normalization normalization;
    /** How the quantised model was corrected before, if it was. */
    private final Optional<Provenance> earlier;

    private final List<Phase> phases = new ArrayList<>();
    private final List<String> warnings = new ArrayList<>();

    /**
     * A run.
     *
     * @param correcting whether corrections are applied, or only measured
     */
    CorrectionRun(BiasCorrection owner, Samples samples, CorrectionOptions options, boolean correcting) {
        this.owner = owner;
        this.options = options;
        this.correcting = correcting;
        owner.models().requireAdjustable(options);
        this.bound = samples.bind(owner.networkInputs().ofSweep());
        this.normalization = samples.normalization();
        if (!correcting && options.reference().isEmpty()) {
            throw new UsageException("a measurement has no better reference to choose: name one, layer or network");
        }
        if (!correcting && options.adjust() == Adjustment.WEIGHTS) {
            throw new UsageException(
                    "a measurement changes nothing, and so chooses no weights: measure without `adjust` weights, "
                            + "or correct");
        }
        references().forEach(this::layers);
        this.earlier = earlier();
    }

    /** How many samples there are. */
    int samples() {
        return bound.count();
    }

    /** What nobody can read of an earlier correction is no reason not to make this one. */
    private Optional<Provenance> earlier() {
        try {
            return owner.models().provenance();
        } catch (UnsupportedException e) {
            warnings.add(e.getMessage());
            return Optional.empty();
        }
    }

    /** What came of one sweep. */
    private record Swept(
            Reference reference,
            List<LayerPair> layers,
            List<LayerMoments> moments,
            Optional<EvidenceRule> rule,
            WeightAdjustment weights,
            SampleSurvey survey,
            OnnxModel corrected,
            int batchSize,
            long spilledBytes,
            long peakBytes,
            Profile profile,
            double seconds,
            List<String> warnings) {}

    CorrectionResult on(DeviceSession session) {
        Device device = session.device();
        Transfers before = device.log().transfers();
        List<Reference> references = references();
        BoundSamples all = references.size() > 1
                ? timed("reading samples", () -> bound.kept(Math.min(options.memoryLimit(), MOST_KEPT)))
                : bound;
        Optional<BoundSamples.Split> split = split(all);
        BoundSamples samples = split.map(BoundSamples.Split::rest).orElse(all);
        Optional<BoundSamples> heldOut = split.map(BoundSamples.Split::heldOut);
        SampleChecks checks = new SampleChecks(owner.networkInputs(), normalization);
        BoundSamples first = samples.spread(Math.min(LOOKED_AT, samples.count()));
        timed("checking samples", () -> checks.refuseGrossMisfit(first, options.anySamples()));
        int wanted = options.batchSize().orElse(device.batches().usual());
        Batching batching = owner.batching(samples, wanted);
        List<Swept> swept = new ArrayList<>();
        for (Reference reference : references) {
            // The first sweep looks at the samples, which are the same for the second.
            Optional<SampleSurvey> seen = swept.stream().map(Swept::survey).findFirst();
            swept.add(timed(
                    "sweep, reference " + name(reference),
                    () -> sweep(reference, samples, heldOut, batching, checks, seen, device)));
        }
        List<Optional<Outcome>> outcomes = options.outcome()
                ? timed("comparing outputs", () -> outcomes(swept, heldOut.orElse(samples), heldOut.isPresent()))
                : swept.stream().map(s -> Optional.<Outcome>empty()).toList();
        List<Optional<Sufficiency>> sufficiency = swept.stream()
                .map(s -> Sufficiency.of(
                        s.moments().stream().map(LayerMoments::moments).toList(),
                        samples.count(),
                        s.survey().distinct()))
                .toList();
        int best = best(outcomes, sufficiency);
        Swept kept = swept.get(best);
        List<Trial> trials = new ArrayList<>();
        for (int i = 0; i < swept.size(); i++) {
            trials.add(new Trial(
                    swept.get(i).reference(),
                    outcomes.get(i),
                    i == best,
                    swept.get(i).seconds()));
        }
        SamplesUsed used =
                checks.used(kept.survey(), heldOut.map(BoundSamples::count).orElse(0));
        List<LayerResult> layers = new LayerResults(
                        owner, kept.layers(), kept.moments(), kept.rule(), kept.weights(), correcting, options.shrink())
                .all();
        Optional<Provenance> provenance = correcting
                ? Optional.of(Provenance.of(kept.reference(), options, used, (int)
                        layers.stream().filter(LayerResult::isCorrected).count()))
                : Optional.empty();
        Marks.Marked marked = timed("metadata", () -> provenance
                .map(p -> Marks.marked(owner.quantizedModel(), kept.corrected(), p.json(), options.undo()))
                .orElseGet(() -> new Marks.Marked(kept.corrected(), false, false, List.of())));
        earlier.filter(p -> correcting)
                .ifPresent(p -> warnings.add("the quantised model was corrected before (" + p + "): " + again(marked)));
        warnings.addAll(marked.warnings());
        warnings.addAll(device.log().warnings());
        warnings.addAll(batching.warnings());
        warnings.addAll(kept.warnings());
        warnings.addAll(checks.warnings(used, samples, kept.survey().inputs()));
        sufficiency.get(best).filter(Sufficiency::isNoise).ifPresent(x -> warnings.add(x.sentence()));
        return new CorrectionResult(
                owner.models(),
                marked.model(),
                kept.reference(),
                device.info(),
                session.why(),
                samples.count(),
                used,
                kept.batchSize(),
                layers,
                provenance,
                earlier,
                marked.undoable(),
                outcomes.get(best),
                trials,
                sufficiency.get(best),
                device.log().transfers().since(before),
                warnings,
                phases,
                kept.peakBytes(),
                kept.spilledBytes(),
                kept.profile());
    }

    /** What a correction of a corrected model starts from, and whether both can be undone. */
    private String again(Marks.Marked marked) {
        ModelPair models = owner.models();
        String from = models.ownWeights()
                ? "its biases, which the float reference takes over, contain that correction"
                : "its biases are corrected anew from the float model's";
        boolean onnx = models.keras().isEmpty();
        // What else is in the way of undoing an ONNX model is among the warnings already.
        if (!options.undo() || (onnx && !marked.warnings().isEmpty())) {
            return from;
        }
        Optional<String> obstacle = marked.toFirst() ? Optional.empty() : models.undoObstacle();
        return from
                + obstacle.map(why -> "; that correction cannot be undone: " + why)
                        .orElse(", and 'undo'" + (onnx ? "" : " of the corrected Keras file")
                                + " brings the first ones back");
    }

    private static String name(Reference reference) {
        return reference == Reference.LAYER ? "layer" : "network";
    }

    private void timed(String phase, Runnable work) {
        options.listener().phase(phase);
        long start = System.nanoTime();
        work.run();
        phases.add(new Phase(phase, (System.nanoTime() - start) / 1e9));
    }

    private <T> T timed(String phase, Supplier<T> work) {
        List<T> result = new ArrayList<>();
        timed(phase, () -> {
            result.add(work.get());
        });
        return result.get(0);
    }

    private List<LayerPair> layers(Reference reference) {
        return owner.layers(options, reference);
    }

    /**
     * The references that are tried. What the layer reference cannot be applied to is left to the other where there is
     * a choice.
     */
    private List<Reference> references() {
        return options.reference().map(List::of).orElse(List.of(Reference.LAYER, Reference.NETWORK));
    }

    /** What corrections come from, and what is held out, in whole batches of the model. */
    private Optional<BoundSamples.Split> split(BoundSamples all) {
        double share = correcting ? options.holdout() : 0;
        if (share == 0) {
            return Optional.empty();
        }
        int batch = owner.fixedBatch(all).orElse(1);
        int batches = all.count() / batch;
        if (batches < 2) {
            throw new UnsupportedException("of " + all.count() + " samples none can be held out"
                    + (batch > 1 ? ", the model taking " + batch + " at a time" : "")
                    + ": give more, or name a reference and hold none out (`reference` layer `holdout` 0)");
        }
        int held = Math.max(1, Math.min(batches - 1, options.heldOut(all.count()) / batch));
        return Optional.of(all.split(held * batch));
    }

    private Swept sweep(
            Reference reference,
            BoundSamples samples,
            Optional<BoundSamples> heldOut,
            Batching batching,
            SampleChecks checks,
            Optional<SampleSurvey> seen,
            Device device) {
        List<LayerPair> layers = layers(reference);
        WeightAdjustment weights = new WeightAdjustment(owner.sites(), layers, options);
        Plan plan = owner.plan(layers, device, options, reference, samples.shapes() == 1, weights);
        int usual = batching.size(plan, device, samples.count());
        boolean free = options.batchSize().isEmpty() && batching.fixed().isEmpty();
        long start = System.nanoTime();
        for (int batchSize = usual; ; batchSize = batchSize / 2) {
            device.memory().forgetPeak();
            SampleSurvey survey = seen.orElseGet(checks::survey);
            BoundSamples read = seen.isPresent() ? samples : samples.observed(survey);
            Optional<EvidenceRule> rule = options.shrink() || options.gate() != Gate.NONE
                    ? Optional.of(new EvidenceRule(layers, options))
                    : Optional.empty();
            try (Sweep sweep = owner.sweep(plan, device, options, perChannel(), rule(rule, layers), weights)) {
                List<LayerMoments> moments = sweep.run(read, heldOut, batchSize, options.listener(), survey::catchUp);
                double seconds = (System.nanoTime() - start) / 1e9;
                List<Moments> own = moments.stream().map(LayerMoments::moments).toList();
                return new Swept(
                        reference,
                        layers,
                        moments,
                        rule,
                        weights,
                        survey,
                        corrected(layers, moments, rule, weights),
                        batchSize,
                        sweep.spilledBytes(),
                        device.memory().peak(),
                        sweep.profile(),
                        seconds,
                        new SweepWarnings(owner, options, batching)
                                .of(
                                        reference,
                                        layers,
                                        own,
                                        usual,
                                        batchSize,
                                        device.memory().peak()));
            } catch (OutOfDeviceMemoryException e) {
                if (!free || batchSize == 1) {
                    throw e;
                }
            }
        }
    }

    /** What decides about corrections: the evidence, or for a measurement that there are none. */
    private Optional<CorrectionRule> rule(Optional<EvidenceRule> evidence, List<LayerPair> layers) {
        if (!correcting) {
            return Optional.of((layer, measured, grid) ->
                    new float[layers.get(layer).quantized().channels()]);
        }
        return evidence.map(e -> e);
    }

    /** Whether statistics of channels are needed. */
    private boolean perChannel() {
        boolean decided = !correcting
                || options.shrink()
                || options.holdout() > 0
                || options.reference().isEmpty();
        return options.errors() && (options.perChannel() || decided);
    }

    private OnnxModel corrected(
            List<LayerPair> layers, List<LayerMoments> moments, Optional<EvidenceRule> rule, WeightAdjustment weights) {
        Map<Layer, float[]> corrections = new LinkedHashMap<>();
        for (int i = 0; i < layers.size(); i++) {
            float[] delta = moments.get(i).moments().delta();
            if (correcting && !(rule.isPresent() && LayerResults.isZero(delta))) {
                corrections.put(layers.get(i).quantized(), delta);
            }
        }
        return correcting
                ? owner.quantizedModel()
                        .corrected(weights.written(BiasWriter.write(owner.sites(), corrections), layers, moments))
                : owner.quantizedModel();
    }

    /** What each correction was worth, on samples spread over those given; every network runs once on each. */
    private List<Optional<Outcome>> outcomes(List<Swept> swept, BoundSamples samples, boolean heldOut) {
        long start = System.nanoTime();
        List<OnnxModel> models = new ArrayList<>(List.of(owner.quantizedModel()));
        if (correcting) {
            swept.forEach(s -> models.add(s.corrected()));
        }
        NetworkInputs inputs = owner.networkInputs();
        int batch = owner.fixedBatch(samples).orElse(1);
        int count = Math.max(batch, OUTCOME_SAMPLES / batch * batch);
        List<NetworkDistance> distances = OutcomeMeasurement.measure(
                new Networks(owner.floatModel(), models, inputs::ofFloatFile, inputs::ofQuantizedFile),
                samples.spread(Math.min(count, samples.count())),
                batch);
        double seconds = (System.nanoTime() - start) / 1e9;
        List<Optional<Outcome>> all = new ArrayList<>();
        for (int i = 0; i < swept.size(); i++) {
            all.add(Optional.of(Outcome.of(distances.get(0), distances.get(correcting ? i + 1 : 0), heldOut, seconds)));
        }
        return all;
    }

    /**
     * The number of the best outcome, the first where they are equal; corrections that are mostly noise come last,
     * whatever a few samples say of them.
     */
    private static int best(List<Optional<Outcome>> outcomes, List<Optional<Sufficiency>> sufficiency) {
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
