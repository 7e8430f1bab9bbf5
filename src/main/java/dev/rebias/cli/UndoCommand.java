package dev.rebias.cli;

import dev.rebias.CorrectedFile;
import dev.rebias.Provenance;
import dev.rebias.error.PrintableText;
import dev.rebias.files.OutputFile;
import dev.rebias.keras.KerasModel;
import dev.rebias.model.Marks;
import dev.rebias.model.ModelFile;
import dev.rebias.model.OnnxModel;
import dev.rebias.report.OptionNames;
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
        description = "Gives a corrected model its original biases and weights back, bit for bit.",
        mixinStandardHelpOptions = true,
        sortOptions = false)
final class UndoCommand implements Callable<Integer> {
    @Parameters(paramLabel = "C", description = "A model that 'correct' wrote.")
    private Path corrected;

    @Option(names = "--output", required = true, paramLabel = "Q", description = "Where the original goes.")
    private Path output;

    @Option(names = "--force", description = "Replace an output file that exists.")
    private boolean force;

    @Spec
    private CommandSpec spec;

    /**
     * What was done.
     *
     * @param how how the model was corrected
     * @param warning what to know of the written file
     */
    private record Undone(String how, Optional<String> warning) {}

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        Undone undone = Progress.during("undoing", false, () -> KerasModel.isKeras(corrected) ? keras() : onnx());
        out.println(PrintableText.format("undone: %s", undone.how()));
        out.println(PrintableText.format("wrote %s", output.toString()));
        out.flush();
        undone.warning().ifPresent(w -> spec.commandLine()
                .getErr()
                .println(PrintableText.format("warning: %s", OptionNames.inText(w))));
        return 0;
    }

    private Undone keras() {
        KerasModel model = KerasModel.read(corrected);
        CorrectedFile.requireName(Optional.of(model), output, false);
        OutputFile file = OutputFile.check(output, List.of(corrected), force);
        KerasModel.Undone original = model.undone();
        String how = Provenance.of(model).map(Provenance::toString).orElseGet(() -> model.correctedBefore()
                .orElseThrow());
        file.write(original.bytes());
        return new Undone(how, original.obstacle().map(why -> "what is written was corrected before that: " + why));
    }

    private Undone onnx() {
        CorrectedFile.requireName(Optional.empty(), output, false);
        OnnxModel model = OnnxModel.read(corrected);
        OnnxModel original = Marks.undone(model);
        String how = Provenance.of(model).orElseThrow().toString();
        List<Path> inputs = new ArrayList<>(List.of(corrected));
        inputs.addAll(model.externalFiles());
        inputs.addAll(original.externalFiles());
        ModelFile.check(original, output, inputs, force).write(original);
        return new Undone(how, Optional.empty());
    }
}
