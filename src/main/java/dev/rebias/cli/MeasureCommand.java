package dev.rebias.cli;

import dev.rebias.CorrectionOptions;
import dev.rebias.Requirements;
import dev.rebias.error.UsageException;
import java.nio.file.Path;
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
        description = "Measures what 'correct' measures, and corrects nothing: every layer's errors in the quantised "
                + "model as it is, and how far its outputs are from the float network's.",
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

    @Mixin
    private MemoryOptions memory;

    @Mixin
    private ReportOptions report;

    @Mixin
    private AgreementOption agreement;

    @Option(
            names = "--force",
            description = "Replace reports that exist, and go on with samples that do not fit the model.")
    private boolean force;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        long start = System.nanoTime();
        if (sweepOptions.reference().isEmpty()) {
            throw new UsageException(
                    "--reference auto chooses between two corrections, and nothing is corrected here: name one, "
                            + "layer or network");
        }
        CorrectionOptions options = sweepOptions.options(pair.layers()).toBuilder()
                .memoryLimit(memory.limit())
                .build();
        Requirements requirements =
                new Requirements(OptionalDouble.empty(), agreement.agreement(), OptionalDouble.empty());
        CorrectionJob job = new CorrectionJob(
                start,
                Progress.during("reading models", report.quiet(), () -> pair.read(true)),
                samplesPath,
                Optional.empty(),
                report.reports(),
                new FileHashes(report.quiet()),
                new CorrectionJob.Settings(
                        report.perChannel(),
                        report.all(),
                        OptionalInt.empty(),
                        requirements,
                        force,
                        force,
                        report.quiet(),
                        GivenOptions.of(spec)),
                spec.commandLine().getOut(),
                spec.commandLine().getErr());
        job.run(correction -> limit.of(sampleOptions.open(samplesPath)), options);
        return 0;
    }
}
