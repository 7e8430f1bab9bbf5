package dev.rebias;

import dev.rebias.device.Device;
import dev.rebias.device.Transfers;
import dev.rebias.error.OutOfDeviceMemoryException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.exchange.Rounds;
import dev.rebias.files.Sha256;
import dev.rebias.measure.Moments;
import dev.rebias.model.BiasWriter;
import dev.rebias.model.Layer;
import dev.rebias.model.LayerPair;
import dev.rebias.model.Marks;
import dev.rebias.model.OnnxModel;
import dev.rebias.outcome.Outcome;
import dev.rebias.samples.BoundSamples;
import dev.rebias.samples.Normalization;
import dev.rebias.samples.SampleSurvey;
import dev.rebias.sweep.CorrectionRule;
import dev.rebias.sweep.FloatMath;
import dev.rebias.sweep.LayerMoments;
import dev.rebias.sweep.Plan;
import dev.rebias.sweep.Profile;
import dev.rebias.sweep.Reference;
import dev.rebias.sweep.Sweep;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** One correction: the samples are looked at, one sweep or two are made, and of two the better is kept. */
final class CorrectionRun {
    /** So many samples are looked at before the work begins. */
    private static final int LOOKED_AT = 16;

    /** Samples that two sweeps need are kept in memory up to this size, and read twice beyond. */
    private static final long MOST_KEPT = 1L << 30;

    private final BiasCorrection owner;
    private final CorrectionOptions options;
    private final boolean correcting;
    private final BoundSamples bound;
    private final Normalization normalization;
    private final Rounds rounds;
    /** How the quantised model was corrected before, if it was. */
    private final Optional<Provenance> earlier;

    private final List<Phase> phases = new ArrayList<>();
    private final List<String> warnings = new ArrayList<>();

    /**
     * A run.
     *
     * @param samples all samples, or a participant's part of them
     * @param correcting whether corrections are applied, or only measured
     * @param rounds of the participants that have the other parts
     */
    CorrectionRun(
            BiasCorrection owner,
            BoundSamples samples,
            Normalization normalization,
            CorrectionOptions options,
            boolean correcting,
            Rounds rounds) {
        this.owner = owner;
        this.options = options;
        this.correcting = correcting;
        this.bound = samples;
        this.normalization = normalization;
        this.rounds = rounds;
        owner.models().requireAdjustable(options);
        if (!rounds.isAlone() && options.adjust() == Adjustment.WEIGHTS) {
            throw new UsageException(
                    "weights are chosen from products of every two of a layer's inputs, too many to be "
                            + "exchanged between devices: `adjust` biases, or use one device");
        }
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

    /** Tells the other participants that this one gives up. */
    void fail(Throwable why) {
        rounds.fail(why);
    }

    /** Carries it out; where it fails, it is for the caller to tell the other participants. */
    CorrectionResult on(DeviceSession session) {
        Device device = session.device();
        Transfers before = device.log().transfers();
        List<Reference> references = references();
        BoundSamples all = references.size() > 1
                ? timed("reading samples", () -> bound.kept(Math.min(options.memoryLimit(), MOST_KEPT)))
                : bound;
        PartOfSamples part = PartOfSamples.of(rounds, device.info(), all, this::what);
        Optional<BoundSamples.Split> split =
                correcting ? part.split(all, options, owner.fixedBatch(all).orElse(1)) : Optional.empty();
        BoundSamples samples = split.map(BoundSamples.Split::rest).orElse(all);
        Optional<BoundSamples> heldOut = split.map(BoundSamples.Split::heldOut);
        List<Sharing.Part> parts = part.divided(samples, heldOut);
        int correctingSamples =
                parts.stream().mapToInt(Sharing.Part::correcting).sum();
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
                    () -> sweep(reference, samples, heldOut, part.oneSize(), batching, checks, seen, device)));
        }
        List<OnnxModel> corrected = swept.stream().map(Swept::corrected).toList();
        List<Optional<Outcome>> outcomes = options.outcome()
                ? timed("comparing outputs", () -> new Outcomes(owner, part, parts)
                        .of(corrected, correcting, samples, heldOut))
                : swept.stream().map(s -> Optional.<Outcome>empty()).toList();
        List<Optional<Sufficiency>> sufficiency = swept.stream()
                .map(s -> Sufficiency.of(
                        s.moments().stream().map(LayerMoments::moments).toList(),
                        correctingSamples,
                        s.survey().distinct()))
                .toList();
        int best = Outcomes.best(outcomes, sufficiency);
        Swept kept = swept.get(best);
        List<Trial> trials = new ArrayList<>();
        for (int i = 0; i < swept.size(); i++) {
            trials.add(new Trial(
                    swept.get(i).reference(),
                    outcomes.get(i),
                    i == best,
                    swept.get(i).seconds()));
        }
        SamplesUsed used = checks.used(
                kept.survey(), parts.stream().mapToInt(Sharing.Part::heldOut).sum());
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
        warnings.addAll(checks.warnings(
                used,
                rounds.isAlone() ? samples::number : kept.survey()::number,
                kept.survey().inputs()));
        sufficiency.get(best).filter(Sufficiency::isNoise).ifPresent(x -> warnings.add(x.sentence()));
        return new CorrectionResult(
                owner.models(),
                marked.model(),
                kept.reference(),
                kept.reference() == Reference.NETWORK && device.info().kind().equals("cuda")
                        ? options.math()
                        : FloatMath.FP32,
                device.info(),
                session.why() + (rounds.isAlone() ? "" : ", and " + (rounds.count() - 1) + " more"),
                rounds.isAlone() ? Optional.empty() : Optional.of(new Sharing(parts, rounds.rounds(), rounds.bytes())),
                correctingSamples,
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
        return owner.layers().of(options, reference);
    }

    /**
     * The references that are tried. What the layer reference cannot be applied to is left to the other where there is
     * a choice.
     */
    private List<Reference> references() {
        return options.reference().map(List::of).orElse(List.of(Reference.LAYER, Reference.NETWORK));
    }

    /**
     * What is about to be done, as text that is equal where it is the same. Weights may lie outside of the models'
     * files.
     */
    private String what() {
        MessageDigest digest = Sha256.digest();
        for (OnnxModel model : List.of(owner.floatModel(), owner.quantizedModel())) {
            try (DigestOutputStream out = new DigestOutputStream(OutputStream.nullOutputStream(), digest)) {
                model.proto().writeTo(out);
            } catch (IOException e) {
                throw new IllegalStateException("memory cannot be written to", e);
            }
        }
        for (LayerPair pair : owner.pairing().pairs()) {
            for (Layer layer : List.of(pair.quantized(), pair.floating())) {
                String text = layer.name()
                        + Arrays.toString(layer.weightShape())
                        + Arrays.hashCode(layer.bias())
                        + Arrays.hashCode(layer.weights());
                digest.update(text.getBytes(StandardCharsets.UTF_8));
            }
        }
        references().forEach(r -> layers(r).forEach(p -> digest.update(p.name().getBytes(StandardCharsets.UTF_8))));
        return Stream.of(
                        Version.current(),
                        correcting ? "correct" : "measure",
                        references(),
                        options.math(),
                        options.perChannel(),
                        options.errors(),
                        options.outcome(),
                        options.holdout(),
                        options.gate(),
                        options.shrink(),
                        Sha256.hex(digest))
                .map(String::valueOf)
                .collect(Collectors.joining(" "));
    }

    private Swept sweep(
            Reference reference,
            BoundSamples samples,
            Optional<BoundSamples> heldOut,
            boolean oneSize,
            Batching batching,
            SampleChecks checks,
            Optional<SampleSurvey> seen,
            Device device) {
        List<LayerPair> layers = layers(reference);
        WeightAdjustment weights = new WeightAdjustment(owner.sites(), layers, options);
        Plan plan = owner.plan(layers, device, options, reference, oneSize, weights);
        int usual = batching.size(plan, device, samples.count());
        boolean free = options.batchSize().isEmpty() && batching.fixed().isEmpty();
        long start = System.nanoTime();
        int batchSize = usual;
        while (true) {
            device.memory().forgetPeak();
            SampleSurvey survey = seen.orElseGet(checks::survey);
            BoundSamples read = seen.isPresent() ? samples : samples.observed(survey);
            Optional<EvidenceRule> rule = options.shrink() || options.gate() != Gate.NONE
                    ? Optional.of(new EvidenceRule(layers, options))
                    : Optional.empty();
            try (Sweep sweep = owner.sweep(plan, device, options, perChannel(), rule(rule, layers), weights, rounds)) {
                List<LayerMoments> moments = sweep.run(read, heldOut, batchSize, options.listener(), survey::catchUp);
                exchange(survey, samples, seen.isPresent());
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
                batchSize /= 2;
                rounds.again();
            } catch (Rounds.AgainException e) {
                options.listener().phase("sweep again: another device takes smaller batches");
            }
        }
    }

    /**
     * At the end of a sweep, makes what each participant saw of its samples that of all. Nobody is done before all are:
     * until then anybody may have to begin the sweep again.
     */
    private void exchange(SampleSurvey survey, BoundSamples samples, boolean seen) {
        if (rounds.isAlone()) {
            return;
        }
        rounds.gather(
                "end of a sweep",
                out -> {
                    if (!seen) {
                        survey.write(out, samples);
                    }
                },
                all -> {
                    if (!seen) {
                        survey.take(all);
                    }
                });
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
}
