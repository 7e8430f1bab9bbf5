package dev.rebias.cli;

import dev.rebias.Adjustment;
import dev.rebias.CorrectionOptions;
import dev.rebias.error.PrintableText;
import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.verify.Verification;
import java.io.PrintWriter;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code rebias correct}: models and samples in, corrected model and report out. */
@Command(
        name = "correct",
        description = "Corrects the biases of a quantised ONNX or Keras model.",
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
                    "Calibration samples: an .npz (arrays named as the model's inputs, or one array), an .npy, or a folder of images (JPEG, PNG, WebP, BMP, GIF, TIFF; also in subfolders). An array of exactly an input's fixed shape is that input's value for every sample.")
    private Path samplesPath;

    @Option(
            names = "--output",
            required = true,
            paramLabel = "C.onnx",
            description =
                    "Where the corrected model goes: a file of the same kind; for a Keras model also .onnx (QDQ).")
    private Path output;

    @Mixin
    private SweepOptions sweepOptions;

    @Mixin
    private LimitOptions limit;

    @Mixin
    private SampleOptions sampleOptions;

    @Mixin
    private AdjustOptions adjustment;

    @Mixin
    private EvidenceOptions evidence;

    @Option(
            names = "--memory-limit",
            paramLabel = "SIZE",
            description =
                    "Let tensors that wait for their turn go to a temporary file (in TMPDIR) once all take more than this, e.g. 800m or 8g (default: no limit on the CPU, 60 %% of the pool on a GPU). Does not change the result.")
    private Optional<String> memoryLimit = Optional.empty();

    @Option(
            names = "--report",
            paramLabel = "R",
            description =
                    "Also write the report to this file: .html for people, .json for programs, .csv with a line per layer; - for JSON on standard output. May be given more than once.")
    private List<Path> reports = List.of();

    @Option(names = "--all", description = "Print every layer, in the model's order, and not only the ten worst.")
    private boolean all;

    @Option(names = "--per-channel", description = "With the standard error of every correction in the report.")
    private boolean perChannel;

    @Option(
            names = "--verify",
            description =
                    "Before the file takes its name, read it again, run it in ONNX Runtime, and compare what every layer's outputs moved by; exit 5 and write nothing if it is not as computed.")
    private boolean verify;

    @Option(
            names = "--verify-samples",
            paramLabel = "N|all",
            description = "Verify on N samples, spread over the set, or on all of them (default: 64).")
    private Optional<String> verifySamples = Optional.empty();

    @Option(
            names = "--no-outcome",
            description = "Do not compare the whole networks' outputs, before and after, on 64 of the samples.")
    private boolean noOutcome;

    @Option(
            names = "--force",
            description =
                    "Replace output files that exist, correct a Keras model that has been corrected already, and write also what makes the network worse.")
    private boolean force;

    @Option(
            names = "--skip-existing",
            description =
                    "Do nothing, and exit 0, where the output file exists: it is whole, for no other takes its name.")
    private boolean skipExisting;

    @Option(names = "--quiet", description = "Print nothing but errors.")
    private boolean quiet;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        long start = System.nanoTime();
        PrintWriter out = spec.commandLine().getOut();
        if (skipExisting && Files.exists(output)) {
            if (!quiet) {
                out.println(PrintableText.format("'%s' exists, and is left as it is", output.toString()));
                out.flush();
            }
            return 0;
        }
        CorrectionOptions.Builder builder = sweepOptions.options(pair.layers()).toBuilder()
                .outcome(!noOutcome)
                .memoryLimit(memoryLimit.map(CorrectCommand::bytes).orElse(Long.MAX_VALUE));
        evidence.apply(builder);
        adjustment.apply(builder);
        CorrectionOptions options = builder.build();
        ModelPair models = pair.read(sweepOptions.reference(), force);
        if (options.adjust() == Adjustment.WEIGHTS && models.keras().isPresent()) {
            throw new UnsupportedException(
                    "a Keras model quantises its weights on every call, with a scale that follows from them: its weights cannot be chosen anew (--adjust weights); adjust biases");
        }
        CorrectionJob job = new CorrectionJob(
                start,
                models,
                samplesPath,
                Optional.of(output),
                reports,
                new CorrectionJob.Settings(
                        perChannel, all, verifyCount(), evidence.requirements(), force, quiet, GivenOptions.of(spec)),
                out,
                spec.commandLine().getErr());
        job.run(correction -> limit.of(sampleOptions.open(samplesPath)), options);
        return 0;
    }

    /** On how many samples to verify; empty where nobody asks for it. */
    private OptionalInt verifyCount() {
        if (verifySamples.isEmpty()) {
            return verify ? OptionalInt.of(Verification.USUAL_SAMPLES) : OptionalInt.empty();
        }
        String count = verifySamples.get();
        if (count.equalsIgnoreCase("all")) {
            return OptionalInt.of(Integer.MAX_VALUE);
        }
        if (!count.matches("[1-9]\\d{0,8}")) {
            throw new UsageException("--verify-samples " + count + " is not possible: give a number from 1 on, or all");
        }
        return OptionalInt.of(Integer.parseInt(count));
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
}
