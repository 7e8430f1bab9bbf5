package dev.rebias.cli;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.ModelPair;
import dev.rebias.Requirements;
import dev.rebias.error.UsageException;
import dev.rebias.keras.KerasModel;
import dev.rebias.samples.Samples;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code rebias calibrate}: the command line of {@code cnn2snn calibrate}, for those who come from there. */
@Command(
        name = "calibrate",
        description = "Calibrates a quantised Keras model with the command line of cnn2snn.",
        subcommands = CalibrateCommand.BiasCorrectionCommand.class,
        mixinStandardHelpOptions = true,
        sortOptions = false)
final class CalibrateCommand implements Runnable {
    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        throw new CommandLine.ParameterException(
                spec.commandLine(), "no method given: rebias has 'calibrate bc', bias correction");
    }

    /** {@code rebias calibrate bc}. */
    @Command(
            name = "bc",
            description =
                    "Bias correction, as 'cnn2snn calibrate bc' does it: all arrays of the samples joined, against "
                            + "each layer's own float weights.",
            mixinStandardHelpOptions = true,
            sortOptions = false)
    static final class BiasCorrectionCommand implements Callable<Integer> {
        @Option(
                names = {"-m", "--model"},
                required = true,
                paramLabel = "MODEL",
                description = "The quantised Keras model (.h5 or .keras).")
        private Path model;

        @Option(
                names = {"-sa", "--samples"},
                required = true,
                paramLabel = "S.npz",
                description = "The samples, as the model's input takes them.")
        private Path samplesPath;

        @Option(
                names = {"-bs", "--batch_size"},
                paramLabel = "N",
                description =
                        "Samples that go through at a time. Does not change the result, but with --drop-remainder.")
        private Optional<Integer> batchSize = Optional.empty();

        @Option(
                names = "--drop-remainder",
                description = "Leave out the last batch where it is not full, as cnn2snn does. Without it every sample "
                        + "counts.")
        private boolean dropRemainder;

        @Option(
                names = "--output",
                paramLabel = "C.h5",
                description =
                        "Where the corrected model goes (default: MODEL's name with _bc_calibrated before its suffix).")
        private Optional<Path> output = Optional.empty();

        @Mixin
        private SampleOptions sampleOptions;

        @Mixin
        private DeviceOption deviceOption;

        @Option(
                names = "--force",
                description =
                        "Replace an output file that exists, and correct a model that has been corrected already.")
        private boolean force;

        @Option(names = "--quiet", description = "Print nothing but errors.")
        private boolean quiet;

        @Spec
        private CommandSpec spec;

        @Override
        public Integer call() {
            long start = System.nanoTime();
            if (!KerasModel.isKeras(model)) {
                throw new UsageException(
                        "'" + model + "' is not a Keras model: for ONNX models there is 'rebias correct'");
            }
            ModelPair pair = Progress.during("reading models", quiet, () -> ModelPair.readKeras(model, force));
            CorrectionJob job = new CorrectionJob(
                    start,
                    pair,
                    samplesPath,
                    Optional.of(output.orElseGet(() -> calibrated(model))),
                    List.of(),
                    new FileHashes(quiet),
                    new CorrectionJob.Settings(
                            false,
                            false,
                            OptionalInt.empty(),
                            Requirements.NONE,
                            force,
                            force,
                            quiet,
                            GivenOptions.of(spec)),
                    spec.commandLine().getOut(),
                    spec.commandLine().getErr());
            CorrectionOptions.Builder options = CorrectionOptions.builder().device(deviceOption.device());
            batchSize.ifPresent(options::batchSize);
            job.run(this::samples, options.build());
            return 0;
        }

        private Samples samples(BiasCorrection correction) {
            Samples all = sampleOptions.open(samplesPath);
            try {
                Samples joined = all.joined();
                return dropRemainder && batchSize.isPresent()
                        ? joined.limit(full(joined, correction, batchSize.get()))
                        : joined;
            } catch (RuntimeException | Error e) {
                all.close();
                throw e;
            }
        }

        /** How many samples are in full batches. */
        private static int full(Samples samples, BiasCorrection correction, int batchSize) {
            int count = samples.bind(correction.inputs()).count();
            if (batchSize < 1 || batchSize > count) {
                throw new UsageException("with --drop-remainder a batch size of " + batchSize + " leaves none of "
                        + count + " samples: it must be from 1 to " + count);
            }
            return count / batchSize * batchSize;
        }

        /** model.h5 becomes model_bc_calibrated.h5. */
        private static Path calibrated(Path model) {
            String name = model.getFileName().toString();
            int suffix = name.lastIndexOf('.');
            int end = suffix < 1 ? name.length() : suffix;
            return model.resolveSibling(name.substring(0, end) + "_bc_calibrated" + name.substring(end));
        }
    }
}
