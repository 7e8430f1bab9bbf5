package dev.rebias.cli;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectedFile;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.ModelPair;
import dev.rebias.Phase;
import dev.rebias.Requirements;
import dev.rebias.Version;
import dev.rebias.error.PrintableText;
import dev.rebias.error.QualityGateException;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.outcome.Outcome;
import dev.rebias.report.ConsoleReport;
import dev.rebias.report.JsonReport;
import dev.rebias.report.OptionNames;
import dev.rebias.report.OutcomeText;
import dev.rebias.report.RunReport;
import dev.rebias.report.VerdictText;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import dev.rebias.verify.Verification;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * One correction from files to files: outputs are checked first, then it is computed, written beside its place,
 * verified, given its name, and reported.
 */
final class CorrectionJob {
    private final long start;
    private final ModelPair pair;
    private final Optional<CorrectedFile> output;
    private final ReportFiles reports;
    private final List<RunReport.FileRead> read;
    private final FileHashes hashes;
    private final Settings settings;
    private final PrintWriter out;
    private final List<Phase> phases = new ArrayList<>();
    /** Whether a report says what came of it. */
    private boolean told;

    /** Opens a job's samples. */
    @FunctionalInterface
    interface Opening {
        /**
         * Opens them; the job closes them.
         *
         * @param correction what they are for
         */
        Samples open(BiasCorrection correction);
    }

    /** Computes a correction. */
    @FunctionalInterface
    interface Computing {
        /** The options are those of {@link #options}, with a listener. */
        CorrectionResult correct(BiasCorrection correction, Samples samples, CorrectionOptions options);
    }

    /**
     * What a user can say of a job.
     *
     * @param perChannel whether reports tell of single channels
     * @param all whether every layer is printed, and not only the worst
     * @param verify on how many samples the written file is run in ONNX Runtime and compared; empty where it is not
     * @param requirements what must be reached
     * @param replace whether existing files may be replaced
     * @param force whether what makes the network worse may be written
     * @param quiet whether nothing but errors is printed
     * @param given every option and its value, for reports
     */
    record Settings(
            boolean perChannel,
            boolean all,
            OptionalInt verify,
            Requirements requirements,
            boolean replace,
            boolean force,
            boolean quiet,
            Map<String, String> given) {}

    /**
     * Checks that the outputs can be written.
     *
     * @param start when the work began, before the models were read, in nanoseconds of {@link System#nanoTime}
     * @param samples what is read beside the models, and must not be written over
     * @param output where the corrected model goes; empty where the models are only measured
     * @param hashes of files that were read before; takes on those that reports tell of
     */
    CorrectionJob(
            long start,
            ModelPair pair,
            Path samples,
            Optional<Path> output,
            List<Path> reports,
            FileHashes hashes,
            Settings settings,
            PrintWriter standardOutput,
            PrintWriter standardError) {
        List<Path> inputs = new ArrayList<>(pair.files());
        inputs.addAll(FilesRead.under(samples));
        this.start = start;
        this.pair = pair;
        this.output = output.map(o -> CorrectedFile.check(pair, o, inputs, settings.replace()));
        this.output.ifPresent(o -> inputs.addAll(o.paths()));
        this.reports = new ReportFiles(reports, inputs, settings.replace(), standardOutput);
        this.hashes = hashes;
        this.settings = settings;
        // A report that goes to standard output has it for itself.
        this.out = this.reports.takeStandardOutput() ? standardError : standardOutput;
        // As they are now, whatever becomes of them while this runs.
        this.read = reports.isEmpty() ? List.of() : FilesRead.of(pair, samples, hashes);
    }

    /**
     * Does it. Reports are written also where it fails.
     *
     * @throws QualityGateException if the network would be worse, a requirement does not hold, or the written file does
     *     not compute what was corrected
     */
    void run(Opening opening, CorrectionOptions wanted) {
        run(opening, wanted, BiasCorrection::correct);
    }

    /** The same where somebody else computes the correction, say on a device that stays open. */
    void run(Opening opening, CorrectionOptions wanted, Computing computing) {
        try (Progress progress = new Progress(settings.quiet())) {
            progress.phase("reading models");
            BiasCorrection correction = BiasCorrection.of(pair);
            correction.nothingToCorrect().ifPresent(why -> {
                throw new UnsupportedException(why);
            });
            double hashing = hashes.phase().map(Phase::seconds).orElse(0.0);
            phases.add(new Phase("reading models", seconds(start) - hashing));
            hashes.phase().ifPresent(phases::add);
            try (Samples samples = opening.open(correction)) {
                CorrectionResult found = compute(correction, samples, wanted, computing, progress);
                phases.addAll(found.phases());
                finish(correction, samples, found, progress);
            }
        } catch (RebiasException e) {
            if (!told) {
                tell(e);
            }
            throw e;
        } finally {
            out.flush();
        }
    }

    /** Reports a failure; that it cannot be reported is the lesser one. */
    private void tell(RebiasException failure) {
        try {
            reports.write(JsonReport.of(failure));
        } catch (RebiasException e) {
            failure.addSuppressed(e);
        }
    }

    private CorrectionResult compute(
            BiasCorrection correction,
            Samples samples,
            CorrectionOptions wanted,
            Computing computing,
            Progress progress) {
        CorrectionOptions options =
                options(wanted, settings.force()).toBuilder().listener(progress).build();
        return output.isEmpty()
                ? correction.measure(samples, options)
                : computing.correct(correction, samples, options);
    }

    /** The options that a job's correction is computed with. */
    static CorrectionOptions options(CorrectionOptions wanted, boolean force) {
        return wanted.toBuilder().perChannel(wanted.errors()).anySamples(force).build();
    }

    private void finish(BiasCorrection correction, Samples samples, CorrectionResult result, Progress progress) {
        progress.phase("");
        List<Requirements.Finding> findings = settings.requirements().of(result);
        Optional<Outcome> worse = result.outcome().filter(Outcome::isWorse);
        Optional<String> missed = findings.stream()
                .filter(f -> !f.held())
                .findFirst()
                .map(f -> "'" + what() + "' " + (output.isPresent() ? "is not written" : "does not pass") + ": " + f);
        Optional<String> noise = result.noise()
                .filter(why -> !settings.force())
                .map(why -> "'" + what() + "' is not written: " + why + "; --force writes it all the same");
        Optional<String> weaker = result.weakerThanBefore()
                .filter(why -> output.isPresent() && !settings.force())
                .map(why -> "'" + what() + "' is not written: " + why + "; --force writes it all the same");
        Optional<String> refused = missed.or(() -> noise).or(() -> weaker).or(() -> worse.filter(
                        o -> output.isPresent() && !settings.force())
                .map(o -> "'" + what() + "' is not written: " + worse(o, result) + "; --force writes it all the same"));
        if (refused.isPresent() || output.isEmpty()) {
            RunReport.Kind kind = missed.isPresent() || noise.isPresent() || weaker.isPresent()
                    ? RunReport.Kind.MISSED
                    : output.isEmpty() ? RunReport.Kind.MEASURED : RunReport.Kind.WORSE;
            report(result, findings, Optional.empty(), kind, refused, false);
            refused.ifPresent(why -> {
                throw new QualityGateException(why);
            });
            return;
        }
        progress.phase("writing");
        long writing = System.nanoTime();
        try (CorrectedFile.Staged staged = output.orElseThrow().stage(result)) {
            phases.add(new Phase("writing", seconds(writing)));
            progress.phase("verifying");
            Optional<Verification> verification = settings.verify().isPresent()
                    ? Optional.of(verify(correction, samples, result, staged))
                    : Optional.empty();
            Optional<String> different = verification
                    .filter(v -> !v.passed())
                    .map(v -> "'" + what() + "' is not written, for it does not compute what was corrected: " + v);
            progress.phase("");
            if (different.isPresent()) {
                report(result, findings, verification, RunReport.Kind.MISSED, different, false);
                throw new QualityGateException(different.get());
            }
            staged.publish();
            worse.ifPresent(o -> say("warning: %s", worse(o, result)));
            try {
                report(
                        result,
                        findings,
                        verification,
                        RunReport.Verdict.kind(result.outcome()),
                        Optional.empty(),
                        true);
            } catch (RebiasException e) {
                throw new RebiasException("'" + what() + "' is written, but not its report: " + e.getMessage(), e);
            }
        }
        say("wrote %s", what());
    }

    private String what() {
        return output.map(CorrectedFile::toString).orElse(pair.quantized().name());
    }

    private Verification verify(
            BiasCorrection correction, Samples samples, CorrectionResult result, CorrectedFile.Staged staged) {
        long verifying = System.nanoTime();
        try {
            Verification verification = Verification.of(
                    correction,
                    result,
                    staged.expected(),
                    staged.readBack(),
                    samples,
                    settings.verify().getAsInt());
            phases.add(new Phase("verifying", seconds(verifying)));
            return verification;
        } catch (UnsupportedException e) {
            throw new QualityGateException(
                    "'" + what() + "' is not written, for it cannot be verified: " + e.getMessage(), e);
        }
    }

    /** That the outputs are further from the float network's, and what is the likeliest reason. */
    private String worse(Outcome outcome, CorrectionResult result) {
        Outcome.Output most = outcome.outputs().stream()
                .max(Comparator.comparingDouble(o -> (o.errorAfter() - o.errorBefore()) / o.signalPower()))
                .orElseThrow();
        String other = "";
        if (result.trials().size() > 1) {
            other = "; neither reference is any better";
        } else if (settings.given().containsKey("--reference")) {
            other = "; or try --reference " + (result.reference() == Reference.LAYER ? "network" : "layer");
        }
        return "corrected, the network is further from the float network than before (" + OutcomeText.line(most)
                + "; " + outcome.samples() + (outcome.heldOut() ? " held-out samples" : " samples, beyond chance")
                + "): check that --scale, --mean and --std are those"
                + " of the network's training"
                + (settings.given().containsKey("--float") ? ", and that --float is the model which was quantised" : "")
                + other;
    }

    private void report(
            CorrectionResult result,
            List<Requirements.Finding> findings,
            Optional<Verification> verification,
            RunReport.Kind kind,
            Optional<String> refused,
            boolean published) {
        String sentence = refused.map(OptionNames::inText).orElseGet(() -> VerdictText.of(kind, result));
        RunReport report = report(new RunReport.Verdict(kind, sentence, published), result, findings, verification);
        told = true;
        reports.write(JsonReport.of(report));
        if (!settings.quiet()) {
            say("device: %s", result.deviceChoice());
            out.print(ConsoleReport.write(report, settings.all()));
        }
    }

    private RunReport report(
            RunReport.Verdict verdict,
            CorrectionResult result,
            List<Requirements.Finding> findings,
            Optional<Verification> verification) {
        double total = seconds(start);
        double known = phases.stream().mapToDouble(Phase::seconds).sum();
        List<Phase> all = new ArrayList<>(phases);
        all.add(new Phase("other", Math.max(0, total - known)));
        return new RunReport(
                Version.current(),
                output.isPresent() ? "correct" : "measure",
                verdict,
                result,
                findings,
                verification,
                settings.given(),
                read,
                all,
                total,
                settings.perChannel());
    }

    private void say(String format, Object... values) {
        if (!settings.quiet()) {
            out.println(PrintableText.format(format, values));
        }
    }

    private static double seconds(long since) {
        return (System.nanoTime() - since) / 1e9;
    }
}
