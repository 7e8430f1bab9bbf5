package dev.rebias.cli;

import dev.rebias.CorrectionOptions;
import dev.rebias.sweep.FloatMath;
import dev.rebias.sweep.Reference;
import java.util.Optional;
import java.util.function.Predicate;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The options that say what a sweep compares and where it runs. */
final class SweepOptions {
    @Option(
            names = "--reference",
            defaultValue = "layer",
            description =
                    "What a layer's output is compared with: 'layer', the float layer on the quantised model's own "
                            + "input; 'network', the float network's own activations; 'auto' (of 'correct'), both "
                            + "are tried, and the one is kept whose outputs are nearer to the float "
                            + "network's on held-out samples (default: ${DEFAULT-VALUE}).")
    private Choice reference;

    /** What a user can name. */
    private enum Choice {
        LAYER,
        NETWORK,
        AUTO
    }

    @Option(
            names = "--batch-size",
            paramLabel = "N",
            description =
                    "Samples that go through at a time, at most (default: 32 on the CPU, 128 on a GPU, fewer where "
                            + "its memory does not suffice). Does not change the result, but for the last bits of "
                            + "float layers on a GPU.")
    private Optional<Integer> batchSize = Optional.empty();

    @Option(
            names = "--math",
            paramLabel = "M",
            defaultValue = "fp32",
            description =
                    "How a GPU multiplies in the float network's layers, which --reference network runs: 'fp32'; or "
                            + "'tf32', factors rounded to 10 bits of fraction for its tensor cores, several times as fast "
                            + "(default: ${DEFAULT-VALUE}).")
    private FloatMath math;

    @Mixin
    private DeviceOption deviceOption;

    @Option(
            names = "--no-mse",
            description = "Measure only the mean errors, which are all that corrections need, not how large the errors "
                    + "are: faster.")
    private boolean noMse;

    /** The reference; empty where the better one is wanted. */
    Optional<Reference> reference() {
        return reference == Choice.AUTO ? Optional.empty() : Optional.of(Reference.valueOf(reference.name()));
    }

    CorrectionOptions options(Predicate<String> layers) {
        CorrectionOptions.Builder options = CorrectionOptions.builder()
                .errors(!noMse)
                .math(math)
                .device(deviceOption.device())
                .layers(layers);
        reference().ifPresentOrElse(options::reference, options::bestReference);
        batchSize.ifPresent(options::batchSize);
        return options.build();
    }
}
