package dev.rebias;

import dev.rebias.model.GraphReader;
import dev.rebias.model.OnnxModel;
import dev.rebias.outcome.NetworkDistance;
import dev.rebias.outcome.Networks;
import dev.rebias.outcome.OutcomeMeasurement;
import dev.rebias.samples.BoundSamples;
import dev.rebias.samples.Samples;
import java.util.List;

/** How far a network's outputs are from those of the float network that it was made from. */
public final class NetworkComparison {
    private NetworkComparison() {}

    /**
     * Runs both networks whole in ONNX Runtime, each sample on its own where the models allow it.
     *
     * @param other a model with the float model's inputs, or integers that stand for them
     * @param samples all of them are used
     * @throws dev.rebias.error.UnsupportedException if the models cannot be given the same samples, or ONNX Runtime does not run them
     */
    public static NetworkDistance of(OnnxModel floating, OnnxModel other, Samples samples) {
        NetworkInputs inputs = NetworkInputs.match(GraphReader.read(floating), GraphReader.read(other), other.hints());
        BoundSamples bound = samples.bind(inputs.ofSweep());
        int batch = inputs.fixedBatch(bound).orElse(1);
        return OutcomeMeasurement.measure(
                        new Networks(floating, List.of(other), inputs::ofFloatFile, inputs::ofQuantizedFile),
                        bound,
                        batch)
                .get(0);
    }
}
