package dev.rebias.cli;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.error.QualityGateException;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.files.OutputFile;
import dev.rebias.report.ConsoleReport;
import dev.rebias.report.JsonReport;
import dev.rebias.report.Timings;
import dev.rebias.samples.Samples;
import dev.rebias.verify.Verification;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/** One correction from files to files: outputs are checked first, then it is computed, written, reported. */
final class CorrectionJob {
    private final long start;
    private final ModelPair pair;
    private final CorrectedFile output;
    private final List<OutputFile> reports;
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
            PrintWriter out) {
        List<Path> inputs = new ArrayList<>(pair.files());
        inputs.addAll(files(samples));
        this.start = start;
        this.pair = pair;
        this.output = CorrectedFile.check(pair, output, inputs, force);
        inputs.add(output);
        this.reports = checkReports(reports, inputs, force);
        this.quiet = quiet;
        this.out = out;
    }

    private static List<Path> files(Path samples) {
        List<Path> files = new ArrayList<>(List.of(samples));
        if (Files.isDirectory(samples)) {
            try (Stream<Path> images = Files.list(samples)) {
                images.forEach(files::add);
            } catch (IOException e) {
                throw new RebiasException("folder '" + samples + "' cannot be listed: " + e.getMessage(), e);
            }
        }
        return files;
    }

    private static List<OutputFile> checkReports(List<Path> reports, List<Path> taken, boolean force) {
        List<OutputFile> files = new ArrayList<>();
        for (Path report : reports) {
            if (!report.toString().toLowerCase(Locale.ROOT).endsWith(".json")) {
                throw new UsageException("report '" + report + "' has an unknown format: name it .json");
            }
            files.add(OutputFile.check(report, taken, force));
            taken.add(report);
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
        double loaded = seconds(start);
        CorrectionResult result;
        try (Progress progress = new Progress("correcting", quiet)) {
            result = correction.correct(
                    samples, wanted.withPerChannel(perChannel || verify).withListener(progress));
        }
        long writing = System.nanoTime();
        output.write(result);
        Timings timings = new Timings(loaded, result.sweepSeconds(), seconds(writing), seconds(start));
        reports.forEach(file -> file.write(JsonReport.write(result, timings, perChannel)));
        if (!quiet) {
            out.println("device: " + result.deviceChoice());
            out.print(ConsoleReport.write(result, timings));
            out.println("wrote " + output);
        }
        if (verify) {
            verify(correction, samples, result);
        }
        out.flush();
    }

    private void verify(BiasCorrection correction, Samples samples, CorrectionResult result) {
        Verification verification;
        try {
            verification = Verification.of(
                    output.readBack(), result, correction.inputNames(), samples.bind(correction.inputs()));
        } catch (UnsupportedException e) {
            throw new QualityGateException("'" + output + "' is written but cannot be verified: " + e.getMessage(), e);
        }
        String figures = String.format(
                Locale.ROOT,
                "%d layers compared in ONNX Runtime, %d not visible there, the worst at %.0f %% of its bound (%s)",
                verification.layers(),
                verification.unseen(),
                100 * verification.worst(),
                verification.worstLayer());
        if (!verification.passed()) {
            throw new QualityGateException("'" + output + "' does not compute what was corrected: " + figures);
        }
        if (!quiet) {
            out.println("verified: " + figures);
        }
    }

    private static double seconds(long since) {
        return (System.nanoTime() - since) / 1e9;
    }
}
