package dev.rebias.cli;

import dev.rebias.Adjustment;
import dev.rebias.CorrectionOptions;
import java.util.Optional;
import picocli.CommandLine.Option;

/** The options that say what is changed. */
final class AdjustOptions {
    @Option(
            names = "--adjust",
            defaultValue = "biases",
            paramLabel = "WHAT",
            description = "What is changed: 'biases', or 'weights': every weight's rounding is chosen anew, on its own "
                    + "grid, and then the biases. A layer whose error on held-out samples does not fall "
                    + "keeps its weights (default: ${DEFAULT-VALUE}).")
    private Adjustment adjust;

    @Option(
            names = "--weight-bits",
            paramLabel = "B",
            description = "With --adjust weights, how many bits the integers of weights may use, 2 to 16 (default: as "
                    + "many as each layer's weights use).")
    private Optional<Integer> weightBits = Optional.empty();

    void apply(CorrectionOptions.Builder options) {
        options.adjust(adjust);
        weightBits.ifPresent(options::weightBits);
    }
}
