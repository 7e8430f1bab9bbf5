package dev.rebias.cli;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectedFile;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.ModelPair;
import dev.rebias.error.Failure;
import dev.rebias.error.PrintableText;
import dev.rebias.error.UsageException;
import dev.rebias.samples.BoundSamples;
import dev.rebias.samples.Normalization;
import dev.rebias.samples.Npz;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import dev.rebias.tensor.HostTensor;
import dev.rebias.verify.Accuracy;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code rebias demo}: the whole job on the bundled examples, and what it does for their accuracy. */
@Command(
        name = "demo",
        description = "Corrects the bundled examples and shows the accuracy it wins back.",
        mixinStandardHelpOptions = true,
        sortOptions = false)
final class DemoCommand implements Callable<Integer> {
    /** The launcher says with this property where the examples lie. */
    private static final String HOME = "rebias.home";

    private static final String AUTO = "auto";
    private static final List<String> REFERENCES = List.of("layer", "network", AUTO);

    /** Paths are relative to the examples' folder. */
    private record Example(
            String title, String folder, String floating, String quantized, String test, Normalization normalization) {}

    private static final List<Example> EXAMPLES = List.of(
            new Example(
                    "PP-OCR text-line orientation, W4A8",
                    "ocr-orientation",
                    "float.onnx",
                    "w4a8.onnx",
                    "ocr-orientation/test.npz",
                    new Normalization(255, new float[] {0.5f}, new float[] {0.5f})),
            new Example(
                    "Fashion-MNIST MobileNet, W3A8",
                    "fashion",
                    "float.onnx",
                    "w3a8.onnx",
                    "fashion/test.npz",
                    new Normalization(255, new float[] {0.2860f}, new float[] {0.3530f})),
            new Example(
                    "Fashion-MNIST CNN in Keras, W3A4",
                    "keras",
                    "float.h5",
                    "w3a4.h5",
                    "fashion/test.npz",
                    Normalization.NONE));

    @Option(names = "--output", paramLabel = "FOLDER", description = "Keep the corrected models in this folder.")
    private Optional<Path> output = Optional.empty();

    @Mixin
    private DeviceOption deviceOption;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        Path examples = Path.of(System.getProperty(HOME, ".")).resolve("examples");
        if (!Files.isDirectory(examples)) {
            throw new UsageException(
                    "the bundled examples are not at '" + examples + "': start the program with the launcher ./rebias");
        }
        output.ifPresent(DemoCommand::create);
        for (Example example : EXAMPLES) {
            if (Files.exists(examples.resolve(example.test()))) {
                run(example, examples);
            } else {
                print(
                        "%s: left out, its samples are not at '%s' (a distribution has them in its check archive)",
                        example.title(), examples.resolve(example.test()));
            }
        }
        return 0;
    }

    private static void create(Path folder) {
        try {
            Files.createDirectories(folder);
        } catch (IOException e) {
            throw new UsageException("folder '" + folder + "' cannot be made: " + Failure.reason(e), e);
        }
    }

    private void run(Example example, Path examples) {
        Path folder = examples.resolve(example.folder());
        Path testFile = examples.resolve(example.test());
        ModelPair pair = ModelPair.read(folder.resolve(example.floating()), folder.resolve(example.quantized()));
        BiasCorrection correction = BiasCorrection.of(pair);
        String input = correction.inputNames().get(0);
        HostTensor labels = Npz.read(testFile, "labels");
        try (Samples calibration = Samples.open(folder.resolve("calibration.npz"), example.normalization());
                Samples test = Samples.open(testFile, example.normalization())) {
            BoundSamples bound = test.without("labels").bind(correction.inputs());
            print(
                    "%s: %d layers, %d calibration samples, %d test samples",
                    example.title(),
                    correction.pairing().pairs().size(),
                    calibration.bind(correction.inputs()).count(),
                    bound.count());
            print("  %-28s %9s", "model", "accuracy");
            print("  %-28s %7.2f %%", "float", 100 * Accuracy.top1(pair.floating(), input, bound, labels));
            print("  %-28s %7.2f %%", "quantised", 100 * Accuracy.top1(pair.quantized(), input, bound, labels));
            for (String reference : REFERENCES) {
                CorrectionResult result = correction.correct(calibration, options(reference));
                double accuracy = Accuracy.top1(result.model(), input, bound, labels);
                print(
                        "  %-28s %7.2f %%   %s",
                        "corrected, reference " + reference,
                        100 * accuracy,
                        reference.equals(AUTO)
                                ? result.reference().name().toLowerCase(Locale.ROOT) + " is nearer on held-out samples"
                                : String.format(
                                        Locale.ROOT,
                                        "sweep %.2f s on %s",
                                        result.sweepSeconds(),
                                        result.device().kind()));
                String suffix =
                        example.quantized().substring(example.quantized().lastIndexOf('.'));
                output.ifPresent(to -> keep(pair, result, to.resolve(example.folder() + "-" + reference + suffix)));
            }
        }
    }

    private CorrectionOptions options(String reference) {
        CorrectionOptions.Builder options = CorrectionOptions.builder().device(deviceOption.device());
        return reference.equals(AUTO)
                ? options.bestReference().build()
                : options.outcome(false)
                        .reference(Reference.valueOf(reference.toUpperCase(Locale.ROOT)))
                        .build();
    }

    private void keep(ModelPair pair, CorrectionResult result, Path file) {
        CorrectedFile.check(pair, file, List.of(), true).write(result);
        print("  %-28s %s", "", file);
    }

    private void print(String format, Object... values) {
        PrintWriter out = spec.commandLine().getOut();
        out.println(PrintableText.format(format, values));
        out.flush();
    }
}
