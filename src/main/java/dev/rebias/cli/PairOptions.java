package dev.rebias.cli;

import dev.rebias.BiasCorrection;
import dev.rebias.error.UsageException;
import dev.rebias.model.OnnxModel;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import picocli.CommandLine.Option;

/** The options that name the two models and the layers. */
final class PairOptions {
    @Option(names = "--float", required = true, paramLabel = "F.onnx", description = "The float model.")
    private Path floatModel;

    @Option(
            names = "--quantized",
            required = true,
            paramLabel = "Q.onnx",
            description = "The quantised model made from it.")
    private Path quantizedModel;

    @Option(
            names = "--include",
            paramLabel = "RE",
            description = "Correct only layers whose name matches this regular expression (anywhere in the name).")
    private Optional<String> include = Optional.empty();

    @Option(names = "--exclude", paramLabel = "RE", description = "Leave out layers whose name matches.")
    private Optional<String> exclude = Optional.empty();

    List<Path> inputs() {
        return List.of(floatModel, quantizedModel);
    }

    OnnxModel readFloat() {
        return OnnxModel.read(floatModel);
    }

    OnnxModel readQuantized() {
        return OnnxModel.read(quantizedModel);
    }

    BiasCorrection read() {
        return BiasCorrection.of(readFloat(), readQuantized());
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
