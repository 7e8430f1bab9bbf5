package dev.rebias.cli;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.error.QualityGateException;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UsageException;
import dev.rebias.files.OutputFile;
import dev.rebias.model.ModelFile;
import dev.rebias.model.OnnxModel;
import dev.rebias.report.ConsoleReport;
import dev.rebias.report.JsonReport;
import dev.rebias.report.Timings;
import dev.rebias.samples.Samples;
import dev.rebias.verify.Verification;
import java.io.IOException;
import java.io.PrintWriter;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code rebias correct}: models and samples in, corrected model and report out. */
@Command(
        name = "correct",
        description = "Corrects the biases of a quantised ONNX model.",
        mixinStandardHelpOptions = true,
        sortOptions = false)
final class CorrectCommand implements Callable<Integer> {
    @Mixin
    private PairOptions pair;

    @Option(
            names = "--samples",
            required = true,
            paramLabel = "S",
            description =
                    "Calibration samples: an .npz (arrays named as the model's inputs, or one array), an .npy, or a folder of images.")
    private Path samplesPath;

    @Option(names = "--output", required = true, paramLabel = "C.onnx", description = "Where the corrected model goes.")
    private Path output;

    @Mixin
    private SweepOptions sweepOptions;

    @Option(names = "--limit", paramLabel = "N", description = "Use only the first N samples.")
    private Optional<Integer> limit = Optional.empty();

    @Mixin
    private SampleOptions sampleOptions;

    @Option(
            names = "--memory-limit",
            paramLabel = "SIZE",
            description =
                    "Let tensors that wait for their turn go to a temporary file (in TMPDIR) once all take more than this, e.g. 800m or 8g. Does not change the result.")
    private Optional<String> memoryLimit = Optional.empty();

    @Option(
            names = "--report",
            paramLabel = "R.json",
            description = "Also write the report to this file, as JSON. May be given more than once.")
    private List<Path> reports = List.of();

    @Option(names = "--per-channel", description = "With the standard error of every correction in the report.")
    private boolean perChannel;

    @Option(
            names = "--verify",
            description =
                    "Run the written file in ONNX Runtime and compare every layer's mean output; exit 5 if it is not as computed.")
    private boolean verify;

    @Option(names = "--force", description = "Replace output files that exist.")
    private boolean force;

    @Option(names = "--quiet", description = "Print nothing but errors.")
    private boolean quiet;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        long start = System.nanoTime();
        OnnxModel quantized = pair.readQuantized();
        OnnxModel floating = pair.readFloat();
        List<Path> inputs = inputs(floating, quantized);
        ModelFile outputFile = ModelFile.check(quantized, output, inputs, force);
        List<OutputFile> reportFiles = checkReports(inputs);
        Predicate<String> layers = pair.layers();
        BiasCorrection correction = BiasCorrection.of(floating, quantized);
        try (Samples all = Samples.open(samplesPath, sampleOptions.normalization())) {
            Samples samples = limit.map(all::limit).orElse(all);
            double loaded = seconds(start);
            CorrectionResult result;
            try (Progress progress = new Progress("correcting", quiet)) {
                CorrectionOptions options = sweepOptions
                        .options(layers)
                        .withMemoryLimit(memoryLimit.map(CorrectCommand::bytes).orElse(Long.MAX_VALUE))
                        .withPerChannel(perChannel || verify)
                        .withListener(progress);
                result = correction.correct(samples, options);
            }
            long writing = System.nanoTime();
            outputFile.write(result.model());
            double written = seconds(writing);
            Timings timings = new Timings(loaded, result.sweepSeconds(), written, seconds(start));
            reportFiles.forEach(file -> file.write(JsonReport.write(result, timings, perChannel)));
            PrintWriter out = spec.commandLine().getOut();
            if (!quiet) {
                out.println("device: " + result.deviceChoice());
                out.print(ConsoleReport.write(result, timings));
                out.println("wrote " + output);
            }
            if (verify) {
                verify(correction, samples, result, out);
            }
            out.flush();
        }
        return 0;
    }

    private static long bytes(String size) {
        Matcher m = Pattern.compile("(\\d+)([kmg]?)").matcher(size.toLowerCase(Locale.ROOT));
        if (!m.matches()) {
            throw new UsageException(
                    "'" + size + "' is no memory limit: give bytes, or a number with k, m or g, as in 8g");
        }
        int thousands = " kmg".indexOf(m.group(2).isEmpty() ? " " : m.group(2));
        return new BigInteger(m.group(1))
                .shiftLeft(10 * thousands)
                .min(BigInteger.valueOf(Long.MAX_VALUE))
                .longValue();
    }

    /** Everything that is read and must not be written over: models with their external data, samples, images. */
    private List<Path> inputs(OnnxModel floating, OnnxModel quantized) {
        List<Path> inputs = new ArrayList<>(pair.inputs());
        inputs.addAll(floating.externalFiles());
        inputs.addAll(quantized.externalFiles());
        inputs.add(samplesPath);
        if (Files.isDirectory(samplesPath)) {
            try (Stream<Path> images = Files.list(samplesPath)) {
                images.forEach(inputs::add);
            } catch (IOException e) {
                throw new RebiasException("folder '" + samplesPath + "' cannot be listed: " + e.getMessage(), e);
            }
        }
        return inputs;
    }

    private List<OutputFile> checkReports(List<Path> inputs) {
        List<Path> taken = new ArrayList<>(inputs);
        taken.add(output);
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

    private void verify(BiasCorrection correction, Samples samples, CorrectionResult result, PrintWriter out) {
        Verification verification = Verification.of(
                OnnxModel.read(output), result, correction.inputNames(), samples.bind(correction.inputs()));
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
