package dev.rebias.cli;

import dev.rebias.CorrectionOptions;
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
                    "What a layer's output is compared with: 'layer', the float layer on the quantised model's own input, or 'network', the float network's own activations (default: ${DEFAULT-VALUE}).")
    private Reference reference;

    @Option(
            names = "--batch-size",
            paramLabel = "N",
            description =
                    "Samples that go through at a time, at most (default: 32 on the CPU, 128 on a GPU, fewer where its memory does not suffice). Does not change the result, but for the last bits of float layers on a GPU.")
    private Optional<Integer> batchSize = Optional.empty();

    @Mixin
    private DeviceOption deviceOption;

    @Option(
            names = "--no-mse",
            description =
                    "Measure only the mean errors, which are all that corrections need, not how large the errors are: faster.")
    private boolean noMse;

    Reference reference() {
        return reference;
    }

    CorrectionOptions options(Predicate<String> layers) {
        CorrectionOptions.Builder options = CorrectionOptions.builder()
                .reference(reference)
                .errors(!noMse)
                .device(deviceOption.device())
                .layers(layers);
        batchSize.ifPresent(options::batchSize);
        return options.build();
    }
}
