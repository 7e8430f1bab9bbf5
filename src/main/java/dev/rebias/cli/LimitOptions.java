package dev.rebias.cli;

import dev.rebias.error.UsageException;
import dev.rebias.samples.Samples;
import java.util.Optional;
import picocli.CommandLine.Option;

/** The options that say how many of the samples are used. */
final class LimitOptions {
    @Option(
            names = "--limit",
            paramLabel = "N",
            description = "Use only N samples, spread evenly over the set: sorted folders hold one class first.")
    private Optional<Integer> limit = Optional.empty();

    @Option(names = "--first", description = "With --limit: use the first N samples.")
    private boolean first;

    /** The samples that are wanted of all, which are closed where that fails. */
    Samples of(Samples all) {
        try {
            if (first && limit.isEmpty()) {
                throw new UsageException("--first says which samples --limit N takes: give both, or neither");
            }
            return limit.map(n -> first ? all.limit(n) : all.spread(n)).orElse(all);
        } catch (UsageException e) {
            all.close();
            throw e;
        }
    }
}
