package dev.rebias.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.rebias.batch.Answer;
import dev.rebias.batch.Dispatcher;
import dev.rebias.batch.Job;
import dev.rebias.batch.Shard;
import dev.rebias.batch.Tally;
import dev.rebias.error.DeviceUnavailableException;
import dev.rebias.error.PrintableText;
import dev.rebias.error.QualityGateException;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.files.OutputFile;
import dev.rebias.report.BatchSummary;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/** One run of a batch: every job is checked, then they are done, and then the summary is made. */
final class BatchRun implements AutoCloseable {
    /** Exit codes, those first that another try may change. */
    private static final List<Integer> BY_WEIGHT = List.of(1, 3, 2, 4, 5);

    private static final ObjectMapper MAPPER = new ObjectMapper();

    private final Settings settings;
    private final BatchJobs batch;
    private final List<Job> jobs;
    private final PrintWriter out;
    private final PrintWriter err;
    private final Dispatcher workers;
    private final Thread hook = new Thread(this::stop, "rebias-batch-stop");
    private volatile boolean running;

    /**
     * What a user can say of a run.
     *
     * @param folder where everything goes
     * @param memoryLimit per worker, as it was given
     * @param timeout how long a job may take
     * @param keepGoing whether jobs run where others have been found impossible
     * @param metrics the file for Prometheus
     */
    record Settings(
            Path folder,
            BatchDevices devices,
            Optional<MemoryOptions.Limit> memoryLimit,
            Shard shard,
            Optional<Duration> timeout,
            boolean keepGoing,
            Optional<Path> metrics,
            boolean quiet) {}

    /**
     * Looks at the options and the files of all jobs.
     *
     * @throws UsageException if an option of any job is impossible
     */
    BatchRun(Settings settings, List<Job> all, PrintWriter out, PrintWriter err) {
        this.settings = settings;
        this.out = out;
        this.err = err;
        // What a job says of its memory counts for that job.
        Optional<String> limit =
                settings.devices().limitOfJobs(settings.memoryLimit().map(MemoryOptions.Limit::text));
        this.batch = new BatchJobs(all, settings.shard(), settings.folder(), limit, err);
        this.jobs = batch.jobs();
        this.workers = new Dispatcher(
                settings.devices()
                        .workers(settings.memoryLimit()
                                .map(l -> OptionalLong.of(l.bytes()))
                                .orElse(OptionalLong.empty())),
                settings.timeout(),
                this::said);
    }

    private void said(String worker, String line) {
        synchronized (err) {
            err.println("rebias: " + worker + ": " + PrintableText.sentence(line));
            err.flush();
        }
    }

    private void start() {
        Runtime.getRuntime().addShutdownHook(hook);
        running = true;
        workers.start();
        say(
                "%d jobs%s, %d worker%s: %s%s",
                jobs.size(),
                share(),
                workersCount(),
                workersCount() == 1 ? "" : "s",
                String.join(", ", settings.devices().names()),
                settings.timeout()
                        .map(t -> "; at most " + t.toSeconds() + " s a job")
                        .orElse(""));
    }

    private int workersCount() {
        return settings.devices().names().size();
    }

    private String share() {
        return settings.shard().equals(Shard.WHOLE)
                ? ""
                : " of " + batch.all().size() + " (shard " + settings.shard() + ")";
    }

    /** Has every pair inspected whose output is not there already. */
    private void check(boolean also) {
        List<Job> open = also ? batch.possible() : batch.open();
        workers.forEach(open, job -> request("check", job), (job, answer) -> {
            if (!answer.done()) {
                batch.problems().put(job, failure(answer));
            }
        });
        if (!settings.keepGoing() && !workers.stopped()) {
            batch.requirePossible("; --keep-going runs the others");
        }
    }

    private ObjectNode request(String what, Job job) {
        ObjectNode request = MAPPER.createObjectNode().put("do", what);
        ArrayNode list = request.putArray("arguments");
        batch.arguments(job).forEach(list::add);
        return request.put("report", job.report(settings.folder()).toString());
    }

    private static RebiasException failure(Answer answer) {
        String message = answer.message();
        return switch (answer.exitCode()) {
            case 2 -> new UsageException(message);
            case 3 -> new DeviceUnavailableException(message);
            case 4 -> new UnsupportedException(message);
            case 5 -> new QualityGateException(message);
            default -> new RebiasException(message);
        };
    }

    /**
     * Prints what each job would take.
     *
     * @return the exit code
     */
    int plan() {
        start();
        check(true);
        Map<Job, Answer> plans = new HashMap<>();
        List<Job> possible = batch.possible();
        workers.forEach(possible, job -> request("plan", job), plans::put);
        double seconds = 0;
        out.println(String.format(Locale.ROOT, "%6s %8s %9s %9s  %s", "layers", "samples", "memory", "time", "job"));
        for (Job job : jobs) {
            Optional<Answer> plan = Optional.ofNullable(plans.get(job));
            if (plan.isEmpty() || !plan.get().done()) {
                String why = plan.map(Answer::message)
                        .orElseGet(() -> Optional.ofNullable(batch.problems().get(job))
                                .map(e -> e.getMessage())
                                .orElse("not looked at"));
                out.println(PrintableText.format("%35s  %s: %s", "impossible", job.output(), why));
                continue;
            }
            double own = plan.get().body().path("seconds").asDouble();
            seconds += own;
            out.println(PrintableText.format(
                    "%6d %8d %6.1f MB %7.1f s  %s",
                    plan.get().body().path("layers").asInt(),
                    plan.get().body().path("samples").asInt(),
                    plan.get().body().path("bytes").asLong() / 1e6,
                    own,
                    job.output()));
        }
        out.println(String.format(
                Locale.ROOT,
                "predicted: %.0f s, about %.0f s with %d worker%s, and what reading, hashing, verifying and writing "
                        + "takes",
                seconds,
                seconds / workersCount(),
                workersCount(),
                workersCount() == 1 ? "" : "s"));
        out.flush();
        return exitCode(batch.problems().values().stream()
                .map(RebiasException::exitCode)
                .toList());
    }

    /**
     * Does the jobs.
     *
     * @return the exit code
     */
    int correct() {
        Optional<OutputFile> metrics = settings.metrics().map(m -> OutputFile.check(m, List.of(), true));
        start();
        check(false);
        if (workers.stopped()) {
            return 1;
        }
        batch.makeFolders();
        List<Integer> failures = new ArrayList<>();
        Tally tally = new Tally(jobs.size());
        batch.problems().forEach((job, e) -> {
            JobReport.writeFailure(job.report(settings.folder()), e, "");
            failures.add(e.exitCode());
            tell(tally, job, Optional.of(e), false);
        });
        metrics.ifPresent(m -> write(m, tally));
        List<Job> possible = batch.possible();
        workers.forEach(possible, job -> request("correct", job), (job, answer) -> {
            Optional<RebiasException> failure = answer.done() ? Optional.empty() : Optional.of(failure(answer));
            failure.filter(e -> !answer.reported())
                    .ifPresent(e -> JobReport.writeFailure(job.report(settings.folder()), e, ""));
            failure.ifPresent(e -> failures.add(e.exitCode()));
            boolean wasThere = answer.done() && !answer.body().path("corrected").asBoolean();
            tell(tally, job, failure, wasThere);
            metrics.ifPresent(m -> write(m, tally));
        });
        if (workers.stopped()) {
            return 1;
        }
        batch.removeAbandoned();
        if (settings.shard().equals(Shard.WHOLE)) {
            BatchSummaryCommand.write(settings.folder(), BatchFolder.read(settings.folder()));
        }
        say(
                "%d done, %d there already, %d refused, %d failed; %.1f s",
                tally.count(Tally.State.DONE),
                tally.count(Tally.State.SKIPPED),
                tally.count(Tally.State.REFUSED),
                tally.count(Tally.State.FAILED),
                tally.seconds());
        return exitCode(failures);
    }

    /** The first of {@link #BY_WEIGHT} that a job ended with; 0 if none failed. */
    static int exitCode(List<Integer> failures) {
        return BY_WEIGHT.stream().filter(failures::contains).findFirst().orElse(0);
    }

    private void write(OutputFile metrics, Tally tally) {
        try {
            metrics.write(tally.prometheus(settings.shard()).getBytes(StandardCharsets.UTF_8));
        } catch (RebiasException e) {
            // What watches the work must not end it.
            said("metrics", e.getMessage());
        }
    }

    /** Counts a job, and prints its line. */
    private void tell(Tally tally, Job job, Optional<RebiasException> failure, boolean wasThere) {
        Tally.State state = failure.map(
                        e -> e instanceof QualityGateException ? Tally.State.REFUSED : Tally.State.FAILED)
                .orElse(wasThere ? Tally.State.SKIPPED : Tally.State.DONE);
        BatchSummary.Row row = BatchFolder.row(settings.folder(), job.output());
        boolean worked = !wasThere && row.samples() > 0;
        tally.add(
                state,
                worked ? row.samples() : 0,
                worked ? row.bytesToDevice() : 0,
                worked ? row.bytesFromDevice() : 0,
                state == Tally.State.DONE ? size(job.file(settings.folder())) : 0);
        String line = PrintableText.format(
                "[%d/%d] %s: %s",
                tally.finished(),
                tally.jobs(),
                job.output(),
                failure.map(e -> (state == Tally.State.REFUSED ? "refused: " : "FAILED: ") + e.getMessage())
                        .orElse(wasThere ? "there already" : row.sentence()));
        String rest = tally.secondsLeft().isPresent() && tally.finished() < tally.jobs()
                ? String.format(
                        Locale.ROOT,
                        "; about %s left",
                        duration(tally.secondsLeft().getAsDouble()))
                : "";
        say("%s%s", line, rest);
    }

    private static String duration(double seconds) {
        return seconds < 100
                ? String.format(Locale.ROOT, "%.0f s", seconds)
                : seconds < 6000
                        ? String.format(Locale.ROOT, "%.0f min", seconds / 60)
                        : String.format(Locale.ROOT, "%.1f h", seconds / 3600);
    }

    private static long size(Path file) {
        try {
            return Files.size(file);
        } catch (IOException e) {
            // Taken away in the meantime: a figure for those who watch, and no reason to end the work.
            return 0;
        }
    }

    private void say(String format, Object... values) {
        if (!settings.quiet()) {
            synchronized (err) {
                out.println(PrintableText.format(format, values));
                out.flush();
            }
        }
    }

    /** When the process is told to end. */
    private void stop() {
        if (!running) {
            return;
        }
        workers.stop();
        batch.removeAbandoned();
        said("stopped", "the jobs at work are dropped; the same command goes on from here");
    }

    @Override
    public void close() {
        running = false;
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException e) {
            // The process ends already, and the hook does the rest.
            return;
        }
        workers.close();
    }
}
