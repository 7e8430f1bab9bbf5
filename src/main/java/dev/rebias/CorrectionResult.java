package dev.rebias;

import dev.rebias.device.DeviceInfo;
import dev.rebias.device.Transfers;
import dev.rebias.model.Marks;
import dev.rebias.model.OnnxModel;
import dev.rebias.outcome.Outcome;
import dev.rebias.sweep.FloatMath;
import dev.rebias.sweep.Profile;
import dev.rebias.sweep.Reference;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The outcome of a correction.
 *
 * @param source the models that it came from
 * @param model the quantised model with corrected biases, as ONNX; {@link #write} writes it
 * @param reference where y_f came from
 * @param math how the float network's layers were multiplied; {@code FP32} where none ran
 * @param device what computed it
 * @param deviceChoice in one line, which device was chosen and why
 * @param sharing how the samples were divided among several devices; empty where one had them all
 * @param samples how many samples corrections come from
 * @param samplesUsed what these were like, and how many were held out
 * @param batchSize how many went through at a time
 * @param layers every layer of the quantised model, in graph order
 * @param provenance how the model came about, as its metadata say; empty where nothing was corrected
 * @param correctedBefore how the quantised model had been corrected before, as its metadata say; empty where it had
 *     not, or they cannot be read
 * @param undoable whether its metadata also hold what it takes to undo the correction
 * @param outcome how far the network's outputs are from the float network's, before and after, if that was asked for
 * @param trials what was tried: the correction that was kept, and where the better reference was wanted also the other
 * @param sufficiency whether the samples were enough, if statistics of channels were asked for
 * @param transfers traffic between host and device
 * @param warnings what the user should know about how it was done, one sentence each
 * @param phases how long each part of the work took, in order
 * @param peakDeviceBytes the most bytes of tensors alive on the device at once
 * @param spilledBytes the most bytes of tensors that waited in a temporary file at once
 * @param profile where the sweep's time went
 */
public record CorrectionResult(
        ModelPair source,
        OnnxModel model,
        Reference reference,
        FloatMath math,
        DeviceInfo device,
        String deviceChoice,
        Optional<Sharing> sharing,
        int samples,
        SamplesUsed samplesUsed,
        int batchSize,
        List<LayerResult> layers,
        Optional<Provenance> provenance,
        Optional<Provenance> correctedBefore,
        boolean undoable,
        Optional<Outcome> outcome,
        List<Trial> trials,
        Optional<Sufficiency> sufficiency,
        Transfers transfers,
        List<String> warnings,
        List<Phase> phases,
        long peakDeviceBytes,
        long spilledBytes,
        Profile profile) {
    public CorrectionResult {
        layers = List.copyOf(layers);
        warnings = List.copyOf(warnings);
        trials = List.copyOf(trials);
        phases = List.copyOf(phases);
    }

    /** How long the sweep took, of two the one whose correction was kept. */
    public double sweepSeconds() {
        return trials.stream()
                .filter(Trial::kept)
                .mapToDouble(Trial::sweepSeconds)
                .sum();
    }

    /** For every layer that was corrected, by name, what was added to its bias: delta per channel. */
    public Map<String, float[]> corrections() {
        Map<String, float[]> corrections = new LinkedHashMap<>();
        layers.stream()
                .filter(LayerResult::isCorrected)
                .forEach(layer -> corrections.put(
                        layer.name(), layer.moments().orElseThrow().delta()));
        return corrections;
    }

    /**
     * Where the better reference was wanted, and the corrections of either are noise rather than error: why, in a
     * sentence. A held-out sample or two may then like by chance what thousands of others do not. The noise of layers
     * whose weights are chosen anew is not looked at: they keep the old ones unless held-out samples like the new.
     */
    public Optional<String> noise() {
        if (trials.size() < 2) {
            return Optional.empty();
        }
        return samplesUsed.distinct() < 2
                ? Optional.of(
                        "what in a correction is noise is not known from one sample, or copies of one: give more, "
                                + "and different ones")
                : sufficiency.filter(Sufficiency::isNoise).map(Sufficiency::sentence);
    }

    /**
     * Where the quantised model had been corrected before, from more samples than there are now (those held out
     * included): that, in a sentence. What this correction adds is then mostly the noise of fewer samples, which a few
     * held-out ones need not show.
     */
    public Optional<String> weakerThanBefore() {
        long now = (long) samplesUsed.correcting() + samplesUsed.heldOut();
        return correctedBefore
                .filter(p -> provenance.isPresent() && (long) p.samples() + p.heldOut() > now)
                .map(p -> "the quantised model was corrected before, from more samples than these ("
                        + ((long) p.samples() + p.heldOut())
                        + ", and now " + now + "): give as many, or the file that was not corrected");
    }

    /**
     * Writes the corrected model, whole or not at all: in the form that the quantised model came in, or a Keras model,
     * where the name ends in {@code .onnx}, as ONNX for other tools.
     *
     * @param output a new file's name
     * @throws dev.rebias.error.UsageException if the file exists, or its name is of another form
     * @throws dev.rebias.error.RebiasException if it cannot be written
     */
    public void write(Path output) {
        CorrectedFile.check(source, output, source.files(), false).write(this);
    }

    /** How many layers have another bias now. */
    public long correctedLayers() {
        return layers.stream().filter(LayerResult::isCorrected).count();
    }

    /**
     * Another form of the corrected model with this correction's metadata.
     *
     * @param original that form of the model before
     * @param corrected that form of it with other biases
     */
    public OnnxModel marked(OnnxModel original, OnnxModel corrected) {
        return provenance
                .map(p -> Marks.marked(original, corrected, p.json(), undoable).model())
                .orElse(corrected);
    }
}
