package dev.rebias.model;

import ai.onnx.proto.OnnxMl.ModelProto;
import com.google.protobuf.InvalidProtocolBufferException;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UsageException;
import dev.rebias.files.OutputFile;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;

/**
 * Writes a model to a file. External data go into one file beside it, named after it ({@code C.onnx.data} for
 * {@code C.onnx}), whatever names the model has for them: those are somebody else's choice.
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
        try (Staged staged = stage(model)) {
            staged.publish();
        }
    }

    /**
     * Writes the model beside its place, which takes its name when it is published.
     *
     * @throws RebiasException if that fails; then nothing is left
     */
    public Staged stage(OnnxModel model) {
        ExternalData external = new ExternalData(source);
        String name = file.path().getFileName() + DATA;
        ExternalData.Joined joined = external.joined(model.proto(), name);
        if (joined.isEmpty()) {
            return new Staged(model, file.stage(model.proto().toByteArray()), Optional.empty());
        }
        OutputFile.Staged tensors = data.orElseThrow().stage(to -> external.write(joined, to));
        try {
            return new Staged(model, file.stage(joined.proto().toByteArray()), Optional.of(tensors));
        } catch (RuntimeException | Error e) {
            tensors.close();
            throw e;
        }
    }

    /** A model that is written whole, but does not have its name yet. What is not published is removed on close. */
    public static final class Staged implements AutoCloseable {
        private final OnnxModel model;
        private final OutputFile.Staged graph;
        private final Optional<OutputFile.Staged> tensors;

        private Staged(OnnxModel model, OutputFile.Staged graph, Optional<OutputFile.Staged> tensors) {
            this.model = model;
            this.graph = graph;
            this.tensors = tensors;
        }

        /**
         * What was written, read back, the bytes of all tensors in the message.
         *
         * @throws RebiasException if that fails
         */
        public OnnxModel readBack() {
            try {
                ModelProto proto = ModelProto.parseFrom(graph.bytes());
                ModelProto whole = tensors.map(t -> ExternalData.loaded(proto, t.channel()))
                        .orElse(proto);
                return new OnnxModel(model.name(), model.folder(), whole, model.hints());
            } catch (InvalidProtocolBufferException e) {
                throw new RebiasException("what was written for '" + model.name() + "' is no model", e);
            }
        }

        /**
         * Gives the model its name, and its data theirs.
         *
         * @throws RebiasException if that fails; then neither is there
         */
        public void publish() {
            tensors.ifPresent(OutputFile.Staged::publish);
            try {
                graph.publish();
            } catch (RebiasException e) {
                tensors.ifPresent(OutputFile.Staged::withdraw);
                throw e;
            }
        }

        @Override
        public void close() {
            try {
                graph.close();
            } finally {
                tensors.ifPresent(OutputFile.Staged::close);
            }
        }
    }
}
