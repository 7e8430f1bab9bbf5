package dev.rebias.cli;

import dev.rebias.batch.Job;
import dev.rebias.batch.Manifest;
import dev.rebias.batch.Shard;
import dev.rebias.error.UsageException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code rebias batch}: many corrections from one list, on several devices, restarted where they stopped. */
@Command(
        name = "batch",
        description = "Corrects many models: the jobs of a manifest, each with the options of 'correct'. What is there "
                + "from equal files with equal options is left as it is, so the same command goes on where an earlier "
                + "one stopped. 'batch summary DIR' makes one page of all reports.",
        subcommands = {BatchSummaryCommand.class, BatchWorkerCommand.class},
        mixinStandardHelpOptions = true,
        sortOptions = false)
final class BatchCommand implements Callable<Integer> {
    @Parameters(
            arity = "0..1",
            paramLabel = "MANIFEST",
            description = "The list of jobs: .yaml ('defaults' and 'jobs'), .jsonl (a job a line) or .csv (a job a "
                    + "row). A job's keys are options of 'correct' without their dashes, and 'output', a name below "
                    + "DIR. Paths are relative to the manifest; a pattern for 'quantized' makes a job of each file.")
    private Optional<Path> manifest = Optional.empty();

    @Option(
            names = "--out",
            paramLabel = "DIR",
            description = "The folder of the corrected models; beside each lies its report, NAME" + Job.REPORT + ".")
    private Optional<Path> folder = Optional.empty();

    @Option(
            names = "--devices",
            defaultValue = "auto",
            paramLabel = "D",
            description = "One worker process for each: auto (every GPU, or else one worker on the CPU), cuda:all, "
                    + "cuda:0,2, or cpu:N (N workers, which share the cores) (default: ${DEFAULT-VALUE}).")
    private String devices;

    @Mixin
    private MemoryOptions memory;

    @Option(
            names = "--shard",
            paramLabel = "I/N",
            description = "Do only the jobs of share I of N, counted from 0; they follow from each job's output name. "
                    + "With N alone, I is the environment's JOB_COMPLETION_INDEX, as in a Kubernetes Indexed Job.")
    private Optional<String> shard = Optional.empty();

    @Option(
            names = "--timeout",
            paramLabel = "T",
            description =
                    "A job that takes longer (seconds, 30m, 2h) is taken for hung: its worker is killed, and it is "
                            + "tried once more on a fresh one (default: a job may take any time).")
    private Optional<String> timeout = Optional.empty();

    @Option(
            names = "--keep-going",
            description = "Run the other jobs where some have been found to be impossible, instead of none; those "
                    + "count as failed.")
    private boolean keepGoing;

    @Option(
            names = "--dry-run",
            description = "Check every job, print what each would take, by a try with one batch, and do nothing.")
    private boolean dryRun;

    @Option(
            names = "--metrics",
            paramLabel = "FILE",
            description = "Keep this file up to date with what has been done, for Prometheus's node exporter (.prom).")
    private Optional<Path> metrics = Optional.empty();

    @Option(names = "--quiet", description = "Print nothing but errors.")
    private boolean quiet;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        Path list = manifest.orElseThrow(() -> missing("the manifest: 'rebias batch manifest.yaml --out DIR'"));
        Path out = folder.orElseThrow(() -> missing("where the corrected models go: --out DIR"));
        Shard share = shard.map(s -> Shard.of(s, Optional.ofNullable(System.getenv("JOB_COMPLETION_INDEX"))))
                .orElse(Shard.WHOLE);
        Optional<Duration> limit = timeout.map(t -> TimeOption.of("--timeout", t));
        BatchRun.Settings settings = new BatchRun.Settings(
                out, BatchDevices.of(devices), memory.given(), share, limit, keepGoing, metrics, quiet);
        List<Job> jobs = Manifest.read(list, new CorrectArguments().kinds());
        PrintWriter to = spec.commandLine().getOut();
        try (BatchRun run = new BatchRun(settings, jobs, to, spec.commandLine().getErr())) {
            return dryRun ? run.plan() : run.correct();
        }
    }

    private CommandLine.ParameterException missing(String what) {
        return new CommandLine.ParameterException(spec.commandLine(), "give " + what);
    }

    static UsageException notAFolder(Path folder) {
        return new UsageException("'" + folder + "' is no folder: give the folder of a batch");
    }
}
