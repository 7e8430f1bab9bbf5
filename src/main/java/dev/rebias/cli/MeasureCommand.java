package dev.rebias.cli;

import dev.rebias.CorrectionOptions;
import dev.rebias.Requirements;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code rebias measure}: everything that a correction measures, of the model as it is. */
@Command(
        name = "measure",
        description =
                "Measures what 'correct' measures, and corrects nothing: every layer's errors in the quantised model as it is, and how far its outputs are from the float network's.",
        mixinStandardHelpOptions = true,
        sortOptions = false)
final class MeasureCommand implements Callable<Integer> {
    @Mixin
    private PairOptions pair;

    @Option(names = "--samples", required = true, paramLabel = "S", description = "Samples, as for 'correct'.")
    private Path samplesPath;

    @Mixin
    private SweepOptions sweepOptions;

    @Mixin
    private LimitOptions limit;

    @Mixin
    private SampleOptions sampleOptions;

    @Option(
            names = "--report",
            paramLabel = "R",
            description =
                    "Also write the report to this file: .html for people, .json for programs, .csv with a line per layer; - for JSON on standard output. May be given more than once.")
    private List<Path> reports = List.of();

    @Option(names = "--all", description = "Print every layer, in the model's order, and not only the ten worst.")
    private boolean all;

    @Option(names = "--per-channel", description = "With the standard error of every mean error in the report.")
    private boolean perChannel;

    @Option(
            names = "--require-agreement",
            paramLabel = "SHARE",
            description =
                    "Exit 5 unless the largest value of every output of scores is the float network's in this share of the samples, e.g. 0.99.")
    private Optional<Double> agreement = Optional.empty();

    @Option(
            names = "--force",
            description = "Replace reports that exist, and go on with samples that do not fit the model.")
    private boolean force;

    @Option(names = "--quiet", description = "Print nothing but errors.")
    private boolean quiet;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        long start = System.nanoTime();
        CorrectionOptions options = sweepOptions.options(pair.layers());
        Requirements requirements = new Requirements(
                OptionalDouble.empty(),
                agreement.map(OptionalDouble::of).orElse(OptionalDouble.empty()),
                OptionalDouble.empty());
        CorrectionJob job = new CorrectionJob(
                start,
                pair.read(sweepOptions.reference(), true),
                samplesPath,
                Optional.empty(),
                reports,
                new CorrectionJob.Settings(
                        perChannel, all, OptionalInt.empty(), requirements, force, quiet, GivenOptions.of(spec)),
                spec.commandLine().getOut(),
                spec.commandLine().getErr());
        job.run(correction -> limit.of(sampleOptions.open(samplesPath)), options);
        return 0;
    }
}
