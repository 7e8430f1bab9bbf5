package dev.rebias.model;

import dev.rebias.error.RebiasException;
import dev.rebias.error.UsageException;
import dev.rebias.files.OutputFile;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;

/**
 * Writes a model to a file. External data go into one file beside it, named after it ({@code C.onnx.data} for {@code C.onnx}), whatever names the model has for them: those are somebody
 * else's choice.
 */
public final class ModelFile {
    private static final String DATA = ".data";

    private final OnnxModel source;
    private final OutputFile file;
    private final Optional<OutputFile> data;

    private ModelFile(OnnxModel source, OutputFile file, Optional<OutputFile> data) {
        this.source = source;
        this.file = file;
        this.data = data;
    }

    /**
     * Checks, before any work is done, that a model derived from this one can be written there.
     *
     * @param model the model that is to be changed, whose external data go along
     * @param inputs files that must not be written over
     * @param force whether existing files may be replaced
     * @throws UsageException as {@link OutputFile#check} does
     */
    public static ModelFile check(OnnxModel model, Path output, Collection<Path> inputs, boolean force) {
        OutputFile file = OutputFile.check(output, inputs, force);
        if (model.externalFiles().isEmpty()) {
            return new ModelFile(model, file, Optional.empty());
        }
        List<Path> taken = new ArrayList<>(inputs);
        taken.addAll(model.externalFiles());
        taken.add(output);
        Path beside = output.resolveSibling(output.getFileName() + DATA);
        return new ModelFile(model, file, Optional.of(OutputFile.check(beside, taken, force)));
    }

    /** The files that will be written: the model, and its data where it has any outside. */
    public List<Path> paths() {
        List<Path> paths = new ArrayList<>(List.of(file.path()));
        data.map(OutputFile::path).ifPresent(paths::add);
        return paths;
    }

    /**
     * Writes the model, whole or not at all.
     *
     * @throws RebiasException if that fails
     */
    public void write(OnnxModel model) {
        ExternalData external = new ExternalData(source);
        String name = file.path().getFileName() + DATA;
        ExternalData.Joined joined = external.joined(model.proto(), name);
        if (joined.isEmpty()) {
            file.write(model.proto().toByteArray());
            return;
        }
        // Both are whole before either takes its name.
        try (OutputFile.Staged tensors = data.orElseThrow().stage(to -> external.write(joined, to));
                OutputFile.Staged graph = file.stage(joined.proto().toByteArray())) {
            tensors.publish();
            try {
                graph.publish();
            } catch (RebiasException e) {
                tensors.withdraw();
                throw e;
            }
        }
    }
}
