package dev.rebias.cli;

import dev.rebias.error.UsageException;
import dev.rebias.sweep.Reference;
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
                    "The float model. Not needed where the quantised model is a Keras model, which holds its float weights; with --reference network it is.")
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
    ModelPair read(Optional<Reference> reference, boolean force) {
        return ModelPair.read(floatModel, quantizedModel, reference, force);
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
