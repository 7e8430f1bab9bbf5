package dev.rebias.cli;

import dev.rebias.CorrectionOptions;
import dev.rebias.ModelPair;
import dev.rebias.Provenance;
import dev.rebias.error.PrintableText;
import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.keras.KerasModel;
import dev.rebias.model.OnnxModel;
import dev.rebias.verify.Verification;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
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
                    "Calibration samples: an .npz (arrays named as the model's inputs, or one array), an .npy, or "
                            + "a folder of images (JPEG, PNG, WebP, BMP, GIF, TIFF; also in subfolders). An array "
                            + "of exactly an input's fixed shape is that input's value for every sample.")
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

    @Mixin
    private MemoryOptions memory;

    @Mixin
    private ReportOptions report;

    @Option(
            names = "--verify",
            description =
                    "Before the file takes its name, read it again, run it in ONNX Runtime, and compare what every "
                            + "layer's outputs moved by; exit 5 and write nothing if it is not as computed.")
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
            description = "Replace output files that exist, go on with samples that do not fit the model, correct a "
                    + "Keras model that has been corrected already, and write also what makes the network "
                    + "worse, is mostly noise, or comes from fewer samples than an earlier correction.")
    private boolean force;

    @Option(
            names = "--skip-existing",
            description = "Do nothing, and exit 0, where the output file exists and says that it was made by this "
                    + "version, with --skip-existing, from equal files and with equal options; refuse to "
                    + "go on where it was made otherwise.")
    private boolean skipExisting;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        long start = System.nanoTime();
        PrintWriter out = spec.commandLine().getOut();
        CorrectionOptions.Builder builder = sweepOptions.options(pair.layers()).toBuilder()
                .outcome(!noOutcome)
                .memoryLimit(memory.limit());
        evidence.apply(builder);
        adjustment.apply(builder);
        ModelPair models = Progress.during("reading models", report.quiet(), () -> pair.read(force));
        Map<String, String> given = GivenOptions.of(spec);
        FileHashes hashes = new FileHashes(report.quiet());
        if (skipExisting) {
            String request = Request.of(models, samplesPath, given, hashes);
            // A folder is refused where outputs are checked.
            if (Files.isRegularFile(output) && isMadeFor(request)) {
                skipped();
                return 0;
            }
            builder.request(request);
        }
        CorrectionOptions options = builder.build();
        models.requireAdjustable(options);
        CorrectionJob job = new CorrectionJob(
                start,
                models,
                samplesPath,
                Optional.of(output),
                report.reports(),
                hashes,
                new CorrectionJob.Settings(
                        report.perChannel(),
                        report.all(),
                        verifyCount(),
                        evidence.requirements(),
                        force,
                        report.quiet(),
                        given),
                out,
                spec.commandLine().getErr());
        job.run(correction -> limit.of(sampleOptions.open(samplesPath)), options);
        return 0;
    }

    /** Says that nothing is done; on standard output only where no report has that for itself. */
    private void skipped() {
        if (report.quiet()) {
            return;
        }
        boolean taken = report.reports().contains(ReportFiles.STANDARD_OUTPUT);
        PrintWriter to =
                taken ? spec.commandLine().getErr() : spec.commandLine().getOut();
        to.println(PrintableText.format(
                "'%s' exists, was made from equal files with equal options, and is left as it is%s",
                output.toString(), report.reports().isEmpty() ? "" : "; no report is written"));
        to.flush();
    }

    /**
     * Whether the output file was made for such a request.
     *
     * @throws UsageException if it was not, and may not be replaced
     */
    private boolean isMadeFor(String request) {
        boolean same = made().filter(p -> p.request().equals(request)).isPresent();
        if (!same && !force) {
            throw new UsageException("'" + output
                    + "' exists, but does not say that it was made with --skip-existing from equal files "
                    + "with equal options by this version: name another output, or replace it with "
                    + "--force");
        }
        return same;
    }

    /** How the output file came about; empty where it does not say, or is no model. */
    private Optional<Provenance> made() {
        try {
            return KerasModel.isKeras(output)
                    ? Provenance.of(KerasModel.read(output))
                    : Provenance.of(OnnxModel.read(output));
        } catch (UnsupportedException e) {
            return Optional.empty();
        }
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
}
