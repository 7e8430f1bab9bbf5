package dev.rebias.cli;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectedFile;
import dev.rebias.CorrectionOptions;
import dev.rebias.DeviceSession;
import dev.rebias.ModelPair;
import dev.rebias.Provenance;
import dev.rebias.error.PrintableText;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.keras.KerasModel;
import dev.rebias.model.OnnxModel;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Footprint;
import dev.rebias.verify.Verification;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
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
    /** With fewer samples a correction's time is not tried: some are held out. */
    private static final int LEAST_TRIED = 16;

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
        ModelPair models = read();
        CorrectionOptions.Builder builder = options();
        FileHashes hashes = new FileHashes(report.quiet());
        if (skipExisting) {
            String request = request(models, hashes);
            // A folder is refused where outputs are checked.
            if (Files.isRegularFile(output) && isMadeFor(request)) {
                skipped();
                return 0;
            }
            builder.request(request);
        }
        correct(start, models, builder.build(), report.reports(), force, hashes, BiasCorrection::correct);
        return 0;
    }

    private ModelPair read() {
        return Progress.during("reading models", report.quiet(), () -> pair.read(force));
    }

    private String request(ModelPair models, FileHashes hashes) {
        return Request.of(models, samplesPath, GivenOptions.of(spec), hashes);
    }

    private CorrectionOptions.Builder options() {
        CorrectionOptions.Builder builder = sweepOptions.options(pair.layers()).toBuilder()
                .outcome(!noOutcome)
                .memoryLimit(memory.limit());
        evidence.apply(builder);
        adjustment.apply(builder);
        return builder;
    }

    private Samples open() {
        return limit.of(sampleOptions.open(samplesPath));
    }

    private void correct(
            long start,
            ModelPair models,
            CorrectionOptions options,
            List<Path> reports,
            boolean replace,
            FileHashes hashes,
            CorrectionJob.Computing computing) {
        models.requireAdjustable(options);
        CorrectionJob job = new CorrectionJob(
                start,
                models,
                samplesPath,
                Optional.of(output),
                reports,
                hashes,
                new CorrectionJob.Settings(
                        report.perChannel(),
                        report.all(),
                        verifyCount(),
                        evidence.requirements(),
                        replace,
                        force,
                        report.quiet(),
                        GivenOptions.of(spec)),
                spec.commandLine().getOut(),
                spec.commandLine().getErr());
        job.run(correction -> open(), options, computing);
    }

    /** Whether the input files are there; says which is not. */
    void requireInputs() {
        pair.requireExist();
        Samples.requireExists(samplesPath);
    }

    /**
     * Everything that can be refused before samples go through: the pair, the options, the samples' shapes.
     *
     * @param last the pair that was read last, which many jobs of a batch may share
     * @param participants how many measure a part of the samples each, 1 or more
     * @throws RebiasException as the correction would
     */
    BiasCorrection.Extent inspect(LastPair last, int participants) {
        LastPair.Read pairRead = last.of(pair.names() + force, this::read);
        ModelPair models = pairRead.models();
        CorrectionOptions options = options().build();
        verifyCount();
        evidence.requirements();
        models.requireAdjustable(options);
        CorrectedFile.requireName(models.keras(), output, true);
        BiasCorrection correction = pairRead.correction();
        correction.nothingToCorrect().ifPresent(why -> {
            throw new UnsupportedException(why);
        });
        try (Samples samples = open()) {
            return correction.check(samples, options, participants);
        }
    }

    /**
     * What a job would take.
     *
     * @param bytes the most of tensors at once
     * @param seconds of the correction, without reading models and writing
     */
    record Planned(BiasCorrection.Extent extent, long bytes, double seconds) {}

    /**
     * What this would take: the memory by taking one batch through the sweep, the time by correcting with few samples
     * and with some more.
     *
     * @param session the device that is tried
     * @throws RebiasException as the correction would
     */
    Planned plan(DeviceSession session) {
        BiasCorrection correction = BiasCorrection.of(read());
        CorrectionOptions options = options().build();
        try (Samples samples = open()) {
            BiasCorrection.Extent extent = correction.check(samples, options, 1);
            int count = extent.samples();
            Footprint footprint = correction.footprint(samples, options, count, session);
            int few = Math.min(count, Math.max(LEAST_TRIED, footprint.batchSize() * footprint.threads()));
            int more = Math.min(count, 4 * few);
            // The first time what is needed is compiled and loaded.
            seconds(correction, samples, few, options, session);
            double least = seconds(correction, samples, few, options, session);
            double perSample = more == few
                    ? 0
                    : Math.max(0, seconds(correction, samples, more, options, session) - least) / (more - few);
            return new Planned(extent, footprint.peak(count), least + perSample * (count - few));
        }
    }

    private static double seconds(
            BiasCorrection correction, Samples samples, int count, CorrectionOptions options, DeviceSession session) {
        long start = System.nanoTime();
        correction.correct(samples.limit(count), options, session);
        return (System.nanoTime() - start) / 1e9;
    }

    /**
     * Corrects as one of a batch's jobs, unless what is there was made from equal files with equal options. The report
     * tells of every end, but for one by interruption.
     *
     * @param computing on a device that stays open
     * @param file where the report goes; what is there is replaced
     * @return false if what is there is left as it is
     * @throws RebiasException as {@link #call} does; also where the report that is there says that an equal request was
     *     refused
     */
    boolean correctInBatch(CorrectionJob.Computing computing, Path file) {
        long start = System.nanoTime();
        String request = "";
        try {
            ModelPair models = read();
            CorrectionOptions.Builder builder = options();
            FileHashes hashes = new FileHashes(true);
            request = request(models, hashes);
            Optional<JobReport> earlier = JobReport.read(file).filter(JobReport.madeFor(request));
            if (earlier.isPresent() && !force) {
                earlier.get().requireNotRefused();
            }
            if (Files.isRegularFile(output) && isMadeFor(request) && earlier.isPresent()) {
                return false;
            }
            JobReport.delete(file);
            // What is replaced was made by a run that was killed before it had written its report, or may be replaced.
            correct(start, models, builder.request(request).build(), List.of(file), true, hashes, computing);
            return true;
        } catch (RebiasException e) {
            if (Thread.currentThread().isInterrupted()) {
                JobReport.delete(file);
            } else if (!JobReport.refuses(file, request)) {
                JobReport.writeFailure(file, e, request);
            }
            throw e;
        }
    }

    /**
     * Computes what {@link #correctInBatch} does, and writes nothing: as one of several participants of whom another
     * does. Throws as the correction does.
     */
    void compute(CorrectionJob.Computing computing) {
        BiasCorrection correction = BiasCorrection.of(read());
        try (Samples samples = open()) {
            computing.correct(
                    correction, samples, CorrectionJob.options(options().build(), force));
        }
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
