package dev.rebias.cli;

import dev.rebias.samples.Normalization;
import java.util.List;
import picocli.CommandLine.Option;

/** The options that say how stored values become input values: (x / scale - mean) / std. */
final class SampleOptions {
    @Option(
            names = "--scale",
            paramLabel = "S",
            defaultValue = "1",
            description = "Divide stored values by this, e.g. 255 (default: ${DEFAULT-VALUE}).")
    private float scale;

    @Option(
            names = "--mean",
            split = ",",
            paramLabel = "M",
            defaultValue = "0",
            description = "Then subtract this: one value, or one per channel (default: ${DEFAULT-VALUE}).")
    private List<Float> mean;

    @Option(
            names = "--std",
            split = ",",
            paramLabel = "S",
            defaultValue = "1",
            description = "Then divide by this: one value, or one per channel (default: ${DEFAULT-VALUE}).")
    private List<Float> std;

    Normalization normalization() {
        return new Normalization(scale, floats(mean), floats(std));
    }

    private static float[] floats(List<Float> values) {
        float[] out = new float[values.size()];
        for (int i = 0; i < out.length; i++) {
            out[i] = values.get(i);
        }
        return out;
    }
}
