package dev.rebias.cli;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.error.Failure;
import dev.rebias.error.PrintableText;
import dev.rebias.error.QualityGateException;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.outcome.Outcome;
import dev.rebias.report.ConsoleReport;
import dev.rebias.report.JsonReport;
import dev.rebias.report.OutcomeText;
import dev.rebias.report.Timings;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import dev.rebias.verify.Verification;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** One correction from files to files: outputs are checked first, then it is computed, written, reported. */
final class CorrectionJob {
    private final long start;
    private final ModelPair pair;
    private final CorrectedFile output;
    private final ReportFiles reports;
    private final boolean force;
    private final boolean quiet;
    private final PrintWriter out;

    /**
     * Checks that the outputs can be written.
     *
     * @param start when the work began, before the models were read, in nanoseconds of {@link System#nanoTime}
     * @param samples what is read beside the models, and must not be written over
     * @param force whether existing files may be replaced
     */
    CorrectionJob(
            long start,
            ModelPair pair,
            Path samples,
            Path output,
            List<Path> reports,
            boolean force,
            boolean quiet,
            PrintWriter standardOutput,
            PrintWriter standardError) {
        List<Path> inputs = new ArrayList<>(pair.files());
        inputs.addAll(files(samples));
        this.start = start;
        this.pair = pair;
        this.output = CorrectedFile.check(pair, output, inputs, force);
        inputs.addAll(this.output.paths());
        this.reports = new ReportFiles(reports, inputs, force, standardOutput);
        this.force = force;
        this.quiet = quiet;
        // A report that goes to standard output has it for itself.
        this.out = ReportFiles.takeStandardOutput(reports) ? standardError : standardOutput;
    }

    private static List<Path> files(Path samples) {
        List<Path> files = new ArrayList<>(List.of(samples));
        if (Files.isDirectory(samples)) {
            try (Stream<Path> images = Files.walk(samples)) {
                images.forEach(files::add);
            } catch (IOException e) {
                throw new RebiasException("folder '" + samples + "' cannot be listed: " + Failure.reason(e), e);
            }
        }
        return files;
    }

    /**
     * Does it.
     *
     * @param perChannel whether reports tell of single channels
     * @param verify whether to run the written file in ONNX Runtime and compare
     */
    void run(Samples samples, CorrectionOptions wanted, boolean perChannel, boolean verify) {
        BiasCorrection correction = pair.correction();
        correction.nothingToCorrect().ifPresent(why -> {
            throw new UnsupportedException(why);
        });
        double loaded = seconds(start);
        CorrectionResult result;
        try (Progress progress = new Progress("correcting", quiet)) {
            result = correction.correct(
                    samples,
                    wanted.toBuilder().perChannel(perChannel).listener(progress).build());
        } catch (RebiasException e) {
            reports.write(JsonReport.of(e));
            throw e;
        }
        Optional<Outcome> worse = result.outcome().filter(Outcome::isWorse);
        boolean published = worse.isEmpty() || force;
        long writing = System.nanoTime();
        if (published) {
            output.write(result);
        }
        Timings timings = new Timings(loaded, result.sweepSeconds(), seconds(writing), seconds(start));
        reports.write(JsonReport.of(result, timings, perChannel));
        if (!quiet) {
            out.println(PrintableText.format("device: %s", result.deviceChoice()));
            out.print(ConsoleReport.write(result, timings));
        }
        if (!published) {
            out.flush();
            throw new QualityGateException("'" + output + "' is not written: " + worse(worse.get(), result.reference())
                    + "; --force writes it all the same");
        }
        if (!quiet) {
            worse.ifPresent(o -> out.println(PrintableText.format("warning: %s", worse(o, result.reference()))));
            out.println(PrintableText.format("wrote %s", output.toString()));
        }
        if (verify) {
            verify(correction, samples, result);
        }
        out.flush();
    }

    /** That the outputs are further from the float network's, and what is the likeliest reason. */
    private static String worse(Outcome outcome, Reference reference) {
        Outcome.Output most = outcome.outputs().stream()
                .max(Comparator.comparingDouble(o -> (o.errorAfter() - o.errorBefore()) / o.signalPower()))
                .orElseThrow();
        return "corrected, the network is further from the float network than before (" + OutcomeText.line(most)
                + "; " + outcome.samples() + " samples, beyond chance): check that --scale, --mean and --std are those"
                + " of the network's training, and that --float is the model which was quantised"
                + (reference == Reference.LAYER ? "; or try --reference network" : "; or try --reference layer");
    }

    private void verify(BiasCorrection correction, Samples samples, CorrectionResult result) {
        Verification verification;
        try {
            verification = Verification.of(correction, result, output.expected(result), output.readBack(), samples);
        } catch (UnsupportedException e) {
            throw new QualityGateException("'" + output + "' is written but cannot be verified: " + e.getMessage(), e);
        }
        if (!verification.passed()) {
            throw new QualityGateException("'" + output + "' does not compute what was corrected: " + verification);
        }
        if (!quiet) {
            out.println(PrintableText.format("verified: %s", verification.toString()));
        }
    }

    private static double seconds(long since) {
        return (System.nanoTime() - since) / 1e9;
    }
}
