package dev.rebias.cli;

import dev.rebias.CorrectionResult;
import dev.rebias.DeviceSession;
import dev.rebias.batch.Job;
import dev.rebias.batch.Manifest;
import dev.rebias.batch.Shard;
import dev.rebias.error.Failure;
import dev.rebias.error.PrintableText;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.exchange.Exchange;
import dev.rebias.files.TemporaryFile;
import dev.rebias.report.BatchSummary;
import dev.rebias.report.OptionNames;
import dev.rebias.samples.Samples;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The jobs of a batch and the folder of their outputs, for whoever shares them out: {@code rebias batch} among its
 * workers, another program by an engine of its own. Such a program {@link #read}s the manifest, {@link #check}s all
 * jobs and {@link #makeFolders}; then each job is done by {@link #correct}, in any order and any process that sees the
 * same folders; in the end it calls {@link #removeAbandoned} and {@link #summary}.
 */
public final class BatchJobs {
    /** So many problems are printed one by one. */
    private static final int SHOWN = 50;

    private final Path folder;
    private final List<Job> all;
    private final List<Job> jobs;
    private final PrintWriter err;
    private final Map<Job, List<String>> arguments = new LinkedHashMap<>();
    private final Map<Job, RebiasException> problems = new LinkedHashMap<>();

    /**
     * Looks at the options and the files of all jobs.
     *
     * @param shard which of them are this run's
     * @param memoryLimit that of jobs that have none themselves
     * @param err hears of each job that is impossible
     * @throws UsageException if an option of any job is impossible
     */
    BatchJobs(List<Job> all, Shard shard, Path folder, Optional<String> memoryLimit, PrintWriter err) {
        this.folder = folder;
        this.all = all;
        this.jobs = shard.of(all);
        this.err = err;
        if (Files.exists(folder) && !Files.isDirectory(folder)) {
            throw BatchCommand.notAFolder(folder);
        }
        Set<Job> mine = new LinkedHashSet<>(jobs);
        Map<Job, RebiasException> impossible = new LinkedHashMap<>();
        CorrectArguments options = new CorrectArguments();
        List<String> inputs = options.kinds().inputs();
        Map<Path, Job> outputs = new HashMap<>();
        all.forEach(j -> outputs.put(real(j.file(folder)), j));
        for (Job job : all) {
            List<String> own = new ArrayList<>(job.arguments(folder));
            memoryLimit
                    .filter(l -> !job.options().containsKey("--memory-limit"))
                    .ifPresent(l -> own.add("--memory-limit=" + l));
            try {
                CorrectCommand command = options.parse(own);
                requireNoOutput(job, inputs, outputs);
                if (mine.contains(job)) {
                    arguments.put(job, own);
                    lookFor(job, command);
                }
            } catch (UsageException e) {
                impossible.put(job, e);
            }
        }
        if (!impossible.isEmpty()) {
            throw refused(impossible, all, "");
        }
    }

    /**
     * Reads a manifest.
     *
     * @param folder of the outputs; need not exist
     * @param err hears of each job that is impossible, a line for each
     * @throws UsageException if it is no manifest, or an option of any job is impossible
     */
    public static BatchJobs read(Path manifest, Path folder, PrintWriter err) {
        return new BatchJobs(
                Manifest.read(manifest, new CorrectArguments().kinds()), Shard.WHOLE, folder, Optional.empty(), err);
    }

    private void lookFor(Job job, CorrectCommand command) {
        try {
            command.requireInputs();
        } catch (RebiasException e) {
            problems.put(job, e);
        }
    }

    /** Jobs run in any order, and at once: none may read what another one writes. */
    private static void requireNoOutput(Job job, List<String> inputs, Map<Path, Job> outputs) {
        for (String input : inputs) {
            Optional<Job> writer =
                    Optional.ofNullable(job.options().get("--" + input)).map(file -> outputs.get(real(Path.of(file))));
            if (writer.isPresent()) {
                throw new UsageException("its '" + input + "' is the output of "
                        + (writer.get().equals(job)
                                ? "this very job"
                                : writer.get().where())
                        + ": give that another name, or run one batch after the other");
            }
        }
    }

    /** A path without links, as far as it exists. */
    private static Path real(Path path) {
        try {
            return path.toRealPath();
        } catch (IOException e) {
            // What does not exist yet is called as it will be.
            Path absolute = path.toAbsolutePath().normalize();
            Path parent = absolute.getParent();
            return parent == null ? absolute : real(parent).resolve(absolute.getFileName());
        }
    }

    /** This run's jobs, in the manifest's order. */
    public List<Job> jobs() {
        return jobs;
    }

    /** Where the outputs and reports go. */
    public Path folder() {
        return folder;
    }

    List<Job> all() {
        return all;
    }

    List<String> arguments(Job job) {
        return arguments.get(job);
    }

    /** Those jobs that have been found impossible, and why. */
    Map<Job, RebiasException> problems() {
        return problems;
    }

    /** The jobs that are not known to be impossible. */
    List<Job> possible() {
        return jobs.stream().filter(j -> !problems.containsKey(j)).toList();
    }

    /** Those of them whose outputs are not there already. */
    List<Job> open() {
        return possible().stream().filter(j -> !Files.exists(j.file(folder))).toList();
    }

    /**
     * Inspects the models and samples of every job whose output is not there yet, without a device, in this process.
     *
     * @param participants how many do a job together, each with a part of its samples, 1 or more
     * @throws RebiasException if any job is impossible
     */
    public void check(int participants) {
        LastPair last = new LastPair();
        CorrectArguments options = new CorrectArguments();
        for (Job job : open()) {
            try {
                options.parse(arguments(job)).inspect(last, participants);
            } catch (RebiasException e) {
                problems.put(job, e);
            }
        }
        requirePossible("");
    }

    /**
     * Prints the problem of each job that has one.
     *
     * @param remedy how the others could be done without them; empty if they cannot
     * @throws RebiasException if there is any
     */
    void requirePossible(String remedy) {
        if (!problems.isEmpty()) {
            throw refused(problems, jobs, remedy);
        }
    }

    private RebiasException refused(Map<Job, RebiasException> found, List<Job> among, String remedy) {
        among.stream()
                .filter(found::containsKey)
                .limit(SHOWN)
                .forEach(j -> err.println("rebias: " + sentence(j, found.get(j))));
        if (found.size() > SHOWN) {
            err.println("rebias: and " + (found.size() - SHOWN) + " others");
        }
        err.flush();
        String sentence =
                found.size() + " of " + among.size() + " jobs cannot be done, see above, so nothing was run" + remedy;
        boolean unsupported = found.values().stream().allMatch(e -> e.exitCode() == 4);
        return unsupported ? new UnsupportedException(sentence) : new UsageException(sentence);
    }

    private static String sentence(Job job, RebiasException e) {
        return PrintableText.sentence(job.where() + " ('" + job.output() + "'): " + OptionNames.inText(e.getMessage()));
    }

    /**
     * Makes the folders of all outputs, without what killed runs have left there; and the list of all jobs.
     *
     * @throws UsageException if a folder leads elsewhere by a link
     */
    public void makeFolders() {
        try {
            Files.createDirectories(folder);
            Path top = folder.toRealPath();
            for (Path below : folders()) {
                Files.createDirectories(below);
                if (!below.toRealPath().startsWith(top)) {
                    throw new UsageException("'" + below + "' leads out of '" + folder
                            + "' by a link: outputs go below the batch's folder");
                }
                TemporaryFile.removeAbandoned(below);
            }
        } catch (IOException e) {
            throw new RebiasException(
                    "the folders of outputs cannot be made in '" + folder + "': " + Failure.reason(e), e);
        }
        BatchFolder.writeJobs(folder, all);
    }

    /** Removes the temporary files that killed processes have left in the outputs' folders. */
    public void removeAbandoned() {
        folders().stream().filter(Files::isDirectory).forEach(TemporaryFile::removeAbandoned);
    }

    private Set<Path> folders() {
        Set<Path> folders = new LinkedHashSet<>();
        folders.add(folder);
        jobs.forEach(j -> folders.add(j.file(folder).toAbsolutePath().getParent()));
        return folders;
    }

    /**
     * Does a job whose folder has been made, unless its output is there from equal files and options. Output and report
     * appear whole or not at all; the report tells of every end but for one by interruption.
     *
     * @param session the device, which stays open
     * @return false if what is there is left as it is
     * @throws RebiasException if it cannot be done; exit codes 2, 4 and 5 will be the same next time
     * @throws dev.rebias.error.CancelledException if the thread is interrupted
     */
    public static boolean correct(Job job, Path folder, DeviceSession session) {
        return new CorrectArguments()
                .parse(job.arguments(folder))
                .correctInBatch(
                        (correction, samples, options) -> correction.correct(samples, options, session),
                        job.report(folder));
    }

    /**
     * Does a job as one of several participants, each of which calls this with a device of its own and measures a part
     * of the samples. Number 0 does all that {@link #correct} does; the others write nothing.
     *
     * @param computed is called when this participant has the correction; it exchanges nothing any more
     * @return false if what is there is left as it is: the others have not been told so
     * @throws RebiasException as {@link #correct} does, and also if another participant fails
     */
    public static boolean correctPart(
            Job job, Path folder, DeviceSession session, Exchange exchange, Runnable computed) {
        CorrectCommand command = new CorrectArguments().parse(job.arguments(folder));
        CorrectionJob.Computing computing = (correction, samples, options) -> {
            int batch = correction.fixedBatch(samples.bind(correction.inputs())).orElse(1);
            Samples part = samples.part(exchange.number(), exchange.count(), batch);
            CorrectionResult result = correction.correct(part, options, session, exchange);
            computed.run();
            return result;
        };
        if (exchange.number() == 0) {
            return command.correctInBatch(computing, job.report(folder));
        }
        command.compute(computing);
        return true;
    }

    /**
     * What a job's report says, in a sentence; or that there is none. One that is not done begins with how it ended.
     */
    public String told(Job job) {
        BatchSummary.Row row = BatchFolder.row(folder, job.output());
        return row.exitCode() == 0 ? row.sentence() : row.state() + ": " + row.sentence();
    }

    /** Whether a job's report tells of a failure; one that tells of a correction may be of an earlier run. */
    public boolean isReportedFailed(Job job) {
        return JobReport.read(job.report(folder)).isPresent()
                && BatchFolder.row(folder, job.output()).exitCode() != 0;
    }

    /** Writes a job's report of a failure that {@link #correct} could not report itself. */
    public static void report(Job job, Path folder, Throwable failure) {
        RebiasException told =
                failure instanceof RebiasException e ? e : new RebiasException(Main.sentence(failure), failure);
        JobReport.writeFailure(job.report(folder), told, "");
    }

    /**
     * Joins all reports into summary.html and summary.csv, and prints what became of the jobs, as {@code rebias batch
     * summary} does.
     *
     * @return 0 if every job is done, else the first of 1, 3, 2, 4, 5 that a job ended with
     */
    public int summary(PrintWriter out) {
        return BatchSummaryCommand.print(folder, out);
    }
}
