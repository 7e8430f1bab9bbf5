package dev.rebias;

import dev.rebias.device.DeviceInfo;
import dev.rebias.device.Transfers;
import dev.rebias.model.OnnxModel;
import dev.rebias.outcome.Outcome;
import dev.rebias.sweep.Profile;
import dev.rebias.sweep.Reference;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The outcome of a correction.
 *
 * @param model the quantised model with corrected biases; write it with {@link dev.rebias.model.ModelFile#write}
 * @param reference where y_f came from
 * @param device what computed it
 * @param deviceChoice in one line, which device was chosen and why
 * @param samples how many samples were used
 * @param batchSize how many went through at a time
 * @param layers every layer of the quantised model, in graph order
 * @param outcome how far the network's outputs are from the float network's, before and after, if that was asked for
 * @param transfers traffic between host and device
 * @param warnings what the user should know about how it was done, one sentence each
 * @param sweepSeconds how long the sweep took
 * @param peakDeviceBytes the most bytes of tensors alive on the device at once
 * @param spilledBytes the most bytes of tensors that waited in a temporary file at once
 * @param profile where the sweep's time went
 */
public record CorrectionResult(
        OnnxModel model,
        Reference reference,
        DeviceInfo device,
        String deviceChoice,
        int samples,
        int batchSize,
        List<LayerResult> layers,
        Optional<Outcome> outcome,
        Transfers transfers,
        List<String> warnings,
        double sweepSeconds,
        long peakDeviceBytes,
        long spilledBytes,
        Profile profile) {
    public CorrectionResult {
        layers = List.copyOf(layers);
        warnings = List.copyOf(warnings);
    }

    /** For every layer that was corrected, by name, what was added to its bias: delta per channel. */
    public Map<String, float[]> corrections() {
        Map<String, float[]> corrections = new LinkedHashMap<>();
        layers.forEach(layer -> layer.moments().ifPresent(m -> corrections.put(layer.name(), m.delta())));
        return corrections;
    }

    /** How many layers have another bias now. */
    public long correctedLayers() {
        return layers.stream()
                .filter(l -> l.status() != LayerResult.Status.SKIPPED)
                .count();
    }
}
