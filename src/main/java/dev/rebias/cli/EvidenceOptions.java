package dev.rebias.cli;

import dev.rebias.CorrectionOptions;
import dev.rebias.Gate;
import dev.rebias.Requirements;
import java.util.Optional;
import java.util.OptionalDouble;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The options by which a correction proves itself. */
final class EvidenceOptions {
    @Option(
            names = "--holdout",
            paramLabel = "SHARE",
            description =
                    "Keep this share of the samples apart, spread over the set: corrections do not come from them, "
                            + "and the outcome is measured on them (default: 0.2 with --reference auto, --gate or "
                            + "--adjust weights, else 0; of few samples up to half, to have 8, unless "
                            + "weights are adjusted).")
    private Optional<Double> holdout = Optional.empty();

    @Option(
            names = "--gate",
            defaultValue = "none",
            paramLabel = "G",
            description = "Leave what would have a larger mean squared error on held-out samples as it is: 'layer', "
                    + "'channel' or 'none' (default: ${DEFAULT-VALUE}).")
    private Gate gate;

    @Option(
            names = "--shrink",
            description = "Multiply each correction by max(0, 1 - se^2/delta^2), se being its standard error: what is "
                    + "noise is not written.")
    private boolean shrink;

    @Option(
            names = "--require-sqnr-gain",
            paramLabel = "DB",
            description = "Write nothing and exit 5 unless the signal-to-error ratio of every output rises by so many "
                    + "decibels.")
    private Optional<Double> sqnrGain = Optional.empty();

    @Mixin
    private AgreementOption agreement;

    @Option(
            names = "--max-layer-mse-increase",
            paramLabel = "SHARE",
            description = "Write nothing and exit 5 if a corrected layer's mean squared error rises by more than this "
                    + "share of itself, on held-out samples where there are such.")
    private Optional<Double> layerMseIncrease = Optional.empty();

    @Option(
            names = "--no-undo",
            description = "Do not store the original biases and weights in the model's metadata, from which 'rebias "
                    + "undo' brings them back.")
    private boolean noUndo;

    void apply(CorrectionOptions.Builder options) {
        holdout.ifPresent(options::holdout);
        options.gate(gate).shrink(shrink).undo(!noUndo);
    }

    Requirements requirements() {
        return new Requirements(optional(sqnrGain), agreement.agreement(), optional(layerMseIncrease));
    }

    private static OptionalDouble optional(Optional<Double> value) {
        return value.map(OptionalDouble::of).orElse(OptionalDouble.empty());
    }
}
