package dev.rebias.cli;

import java.util.Optional;
import java.util.OptionalDouble;
import picocli.CommandLine.Option;

/** The requirement that correcting and measuring have in common. */
final class AgreementOption {
    @Option(
            names = "--require-agreement",
            paramLabel = "SHARE",
            description = "Exit 5, and write no model, unless the largest value of every output of scores is the float "
                    + "network's in this share of the samples, e.g. 0.99.")
    private Optional<Double> agreement = Optional.empty();

    OptionalDouble agreement() {
        return agreement.map(OptionalDouble::of).orElse(OptionalDouble.empty());
    }
}
