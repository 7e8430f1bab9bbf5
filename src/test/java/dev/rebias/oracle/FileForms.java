package dev.rebias.oracle;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.LayerResult;
import dev.rebias.model.OnnxModel;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import dev.rebias.tensor.HostTensor;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;

/** What tests of other people's files share: a correction on a device, and its figures by layer. */
final class FileForms {
    private FileForms() {}

    static Map<String, HostTensor> tensors(Map<String, NaiveTensor> samples) {
        Map<String, HostTensor> tensors = new HashMap<>();
        samples.forEach((name, t) -> {
            float[] values = new float[t.values().length];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) t.values()[i];
            }
            tensors.put(
                    name,
                    HostTensor.of(
                            values, Arrays.stream(t.shape()).asLongStream().toArray()));
        });
        return tensors;
    }

    static CorrectionResult correct(
            OnnxModel floating,
            OnnxModel quantized,
            Map<String, HostTensor> samples,
            Reference reference,
            int batchSize,
            String device) {
        try (Samples in = Samples.of(samples)) {
            return BiasCorrection.of(floating, quantized)
                    .correct(
                            in,
                            CorrectionOptions.builder()
                                    .reference(reference)
                                    .batchSize(batchSize)
                                    .device(device)
                                    .build());
        }
    }

    /** By the layers' outputs. */
    static Map<String, float[]> deltas(CorrectionResult result) {
        Map<String, float[]> deltas = new LinkedHashMap<>();
        for (LayerResult layer : result.layers()) {
            layer.moments().ifPresent(m -> deltas.put(layer.output(), m.delta()));
        }
        return deltas;
    }
}
