package dev.rebias.cli;

import dev.rebias.ModelPair;
import dev.rebias.error.UsageException;
import dev.rebias.files.InputFile;
import dev.rebias.keras.KerasModel;
import dev.rebias.model.OnnxModel;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import picocli.CommandLine.Option;

/** The options that name the two models and the layers. */
final class PairOptions {
    @Option(
            names = "--float",
            paramLabel = "F.onnx",
            description =
                    "The float model. Not needed where the quantised model is a Keras model, which holds its float "
                            + "weights; with --reference network it is.")
    private Optional<Path> floatModel = Optional.empty();

    @Option(
            names = "--quantized",
            required = true,
            paramLabel = "Q.onnx",
            description =
                    "The quantised model made from it: ONNX, or a Keras model with cnn2snn's layers (.h5 or .keras).")
    private Path quantizedModel;

    @Option(
            names = "--include",
            paramLabel = "RE",
            description = "Correct only layers whose name matches this regular expression (anywhere in the name).")
    private Optional<String> include = Optional.empty();

    @Option(names = "--exclude", paramLabel = "RE", description = "Leave out layers whose name matches.")
    private Optional<String> exclude = Optional.empty();

    /**
     * Reads the models.
     *
     * @param force whether to take a Keras model that has been corrected already
     */
    ModelPair read(boolean force) {
        return read(floatModel, quantizedModel, force);
    }

    /** The files' names, as one text. */
    String names() {
        return floatModel.map(Path::toString).orElse("") + '\0' + quantizedModel;
    }

    /**
     * Looks whether the files are there.
     *
     * @throws UsageException if one is not
     */
    void requireExist() {
        floatModel.ifPresent(PairOptions::requireExists);
        requireExists(quantizedModel);
    }

    private static void requireExists(Path file) {
        if (!InputFile.exists(file)) {
            throw new UsageException("model '" + file + "' does not exist: check the path");
        }
    }

    /**
     * Reads two models.
     *
     * @param floating may be left out where the quantised model is a Keras model, whose file holds the float weights
     *     too
     * @throws UsageException as {@link ModelPair#read} does, or if the float model is missing
     */
    static ModelPair read(Optional<Path> floating, Path quantized, boolean force) {
        if (floating.isPresent()) {
            return ModelPair.read(floating.get(), quantized);
        }
        if (KerasModel.isKeras(quantized)) {
            return ModelPair.readKeras(quantized, force);
        }
        OnnxModel.read(quantized);
        throw new UsageException("the quantised ONNX model '" + quantized
                + "' holds no float weights: give the float model that it was made from, with --float F.onnx");
    }

    Predicate<String> layers() {
        Predicate<String> included = include.map(re -> pattern("--include", re)).orElse(name -> true);
        Predicate<String> excluded = exclude.map(re -> pattern("--exclude", re)).orElse(name -> false);
        return included.and(excluded.negate());
    }

    private static Predicate<String> pattern(String option, String expression) {
        try {
            return Pattern.compile(expression).asPredicate();
        } catch (PatternSyntaxException e) {
            throw new UsageException(
                    option + " '" + expression + "' is not a regular expression: " + e.getDescription(), e);
        }
    }
}
