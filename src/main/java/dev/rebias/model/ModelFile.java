package dev.rebias.model;

import dev.rebias.error.RebiasException;
import dev.rebias.error.UsageException;
import dev.rebias.files.OutputFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

/** Writes a model to a file, with the external data it needs beside it. */
public final class ModelFile {
    private final OutputFile file;
    private final List<OutputFile> externalFiles;
    private final List<Path> externalSources;

    private ModelFile(OutputFile file, List<OutputFile> externalFiles, List<Path> externalSources) {
        this.file = file;
        this.externalFiles = externalFiles;
        this.externalSources = externalSources;
    }

    /**
     * Checks, before any work is done, that a model derived from this one can be written there.
     *
     * @param model the model that is to be changed; its external data files are copied where the output has another folder
     * @param inputs files that must not be written over
     * @param force whether existing files may be replaced
     * @throws UsageException as {@link OutputFile#check} does
     */
    public static ModelFile check(OnnxModel model, Path output, Collection<Path> inputs, boolean force) {
        OutputFile file = OutputFile.check(output, inputs, force);
        List<Path> taken = new ArrayList<>(inputs);
        taken.add(output);
        List<OutputFile> copies = new ArrayList<>();
        List<Path> sources = new ArrayList<>();
        Path folder = output.toAbsolutePath().normalize().getParent();
        ExternalData external = new ExternalData(model);
        for (String location : ExternalData.files(model.proto().getGraph())) {
            Path source = external.resolve(location);
            Path target = folder.resolve(location);
            if (!source.equals(target)) {
                sources.add(source);
                copies.add(OutputFile.check(target, taken, force));
            }
        }
        return new ModelFile(file, copies, sources);
    }

    /**
     * Writes the model, whole or not at all.
     *
     * @throws RebiasException if that fails
     */
    public void write(OnnxModel model) {
        for (int i = 0; i < externalSources.size(); i++) {
            try {
                externalFiles.get(i).write(Files.readAllBytes(externalSources.get(i)));
            } catch (IOException e) {
                throw new RebiasException(
                        "cannot read external data file '" + externalSources.get(i) + "': " + e.getMessage(), e);
            }
        }
        file.write(model.proto().toByteArray());
    }
}
