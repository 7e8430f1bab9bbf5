package dev.rebias.cli;

import dev.rebias.Provenance;
import dev.rebias.error.PrintableText;
import dev.rebias.error.UsageException;
import dev.rebias.keras.KerasModel;
import dev.rebias.model.Marks;
import dev.rebias.model.ModelFile;
import dev.rebias.model.OnnxModel;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code rebias undo}: the model as it was before it was corrected. */
@Command(
        name = "undo",
        description = "Gives a corrected ONNX model its original biases and weights back, bit for bit.",
        mixinStandardHelpOptions = true,
        sortOptions = false)
final class UndoCommand implements Callable<Integer> {
    @Parameters(paramLabel = "C.onnx", description = "A model that 'correct' wrote.")
    private Path corrected;

    @Option(names = "--output", required = true, paramLabel = "Q.onnx", description = "Where the original goes.")
    private Path output;

    @Option(names = "--force", description = "Replace an output file that exists.")
    private boolean force;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        if (KerasModel.isKeras(corrected)) {
            throw new UsageException(
                    "'" + corrected
                            + "' is a Keras model, which does not hold its original biases: take the file that it was made from");
        }
        OnnxModel model = OnnxModel.read(corrected);
        OnnxModel original = Marks.undone(model);
        Optional<Provenance> provenance = Provenance.of(model);
        List<Path> inputs = new ArrayList<>(List.of(corrected));
        inputs.addAll(model.externalFiles());
        inputs.addAll(original.externalFiles());
        ModelFile.check(original, output, inputs, force).write(original);
        PrintWriter out = spec.commandLine().getOut();
        provenance.ifPresent(p -> out.println(PrintableText.format("undone: %s", p.toString())));
        out.println(PrintableText.format("wrote %s", output.toString()));
        out.flush();
        return 0;
    }
}
