package dev.rebias;

import ai.onnx.proto.OnnxMl.ModelProto;
import com.google.protobuf.InvalidProtocolBufferException;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UsageException;
import dev.rebias.files.OutputFile;
import dev.rebias.keras.CorrectionNote;
import dev.rebias.keras.KerasModel;
import dev.rebias.model.ModelFile;
import dev.rebias.model.OnnxModel;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/** Where a corrected model goes: a file of the kind that it came from, or for a Keras model also an ONNX file. */
public final class CorrectedFile {
    private final Path path;
    private final Optional<KerasModel> keras;
    private final Optional<ModelFile> onnxFile;
    private final Optional<OutputFile> kerasFile;

    private CorrectedFile(
            Path path, Optional<KerasModel> keras, Optional<ModelFile> onnxFile, Optional<OutputFile> kerasFile) {
        this.path = path;
        this.keras = keras;
        this.onnxFile = onnxFile;
        this.kerasFile = kerasFile;
    }

    /**
     * Checks, before any work is done, that the model can be written there.
     *
     * @param inputs files that must not be written over
     * @param force whether existing files may be replaced
     * @throws UsageException as {@link OutputFile#check} does, or if the name asks for a form that the model cannot be
     *     written in
     */
    public static CorrectedFile check(ModelPair pair, Path output, Collection<Path> inputs, boolean force) {
        requireName(pair.keras(), output, true);
        if (pair.keras().isEmpty()) {
            return new CorrectedFile(
                    output,
                    Optional.empty(),
                    Optional.of(ModelFile.check(pair.quantized(), output, inputs, force)),
                    Optional.empty());
        }
        OutputFile file = OutputFile.check(output, inputs, force);
        if (!isNamedOnnx(output)) {
            pair.keras().get().checkWritable();
        } else {
            pair.keras().get().toOnnx(Map.of());
        }
        return new CorrectedFile(output, pair.keras(), Optional.empty(), Optional.of(file));
    }

    /**
     * Checks that an output's name says the form that it is written in.
     *
     * @param keras the model that it is made from, where that is a Keras model; else it is ONNX
     * @param export whether a Keras model may also be written as ONNX
     * @throws UsageException if the name says another form, or for a Keras model none
     */
    public static void requireName(Optional<KerasModel> keras, Path output, boolean export) {
        String name = output.toString().toLowerCase(Locale.ROOT);
        boolean hdf5 = name.endsWith(".h5") || name.endsWith(".hdf5");
        if (keras.isEmpty()) {
            if (hdf5 || name.endsWith(".keras")) {
                throw new UsageException("output '" + output
                        + "' has the name of a Keras model, but it is ONNX that is written: name it .onnx");
            }
            return;
        }
        boolean archive = keras.get().isArchive();
        boolean fits = archive ? name.endsWith(".keras") : hdf5;
        if (!fits && !(export && isNamedOnnx(output))) {
            throw new UsageException("output '" + output + "' does not say in which form to write: name it "
                    + (archive ? ".keras" : ".h5") + ", as the model is stored" + (export ? ", or .onnx" : ""));
        }
    }

    private static boolean isNamedOnnx(Path output) {
        return output.toString().toLowerCase(Locale.ROOT).endsWith(".onnx");
    }

    /** The files that will be written. */
    public List<Path> paths() {
        return onnxFile.map(ModelFile::paths).orElse(List.of(path));
    }

    private boolean isOnnx() {
        return keras.isEmpty() || isNamedOnnx(path);
    }

    /** Writes the corrected model, whole or not at all. */
    public void write(CorrectionResult result) {
        try (Staged staged = stage(result)) {
            staged.publish();
        }
    }

    /** Writes the corrected model beside its place, which takes its name when it is published. */
    public Staged stage(CorrectionResult result) {
        if (keras.isEmpty()) {
            ModelFile.Staged staged = onnxFile.orElseThrow().stage(result.model());
            return new Staged(Optional.of(result.model()), staged::readBack, staged::publish, staged::close);
        }
        CorrectionNote note = new CorrectionNote(
                String.format(
                        Locale.ROOT,
                        "rebias %s, reference %s, %d samples",
                        Version.current(),
                        result.reference().name().toLowerCase(Locale.ROOT),
                        result.samples()),
                result.provenance().map(Provenance::json),
                result.undoable());
        Optional<OnnxModel> onnx = isOnnx() ? Optional.of(onnx(result)) : Optional.empty();
        byte[] bytes = onnx.map(m -> m.proto().toByteArray())
                .orElseGet(() -> keras.get().corrected(result.corrections(), note));
        OutputFile.Staged staged = kerasFile.orElseThrow().stage(bytes);
        return new Staged(onnx, () -> readBack(staged.bytes()), staged::publish, staged::close);
    }

    private OnnxModel readBack(byte[] bytes) {
        try {
            return isOnnx()
                    ? OnnxModel.of(path.toString(), ModelProto.parseFrom(bytes))
                    : KerasModel.of(path, bytes).quantized();
        } catch (InvalidProtocolBufferException e) {
            throw new RebiasException("what was written for '" + path + "' is no model", e);
        }
    }

    /** A Keras model's corrected form in ONNX. */
    private OnnxModel onnx(CorrectionResult result) {
        KerasModel model = keras.orElseThrow();
        return result.marked(model.toOnnx(Map.of()), model.toOnnx(result.corrections()));
    }

    /**
     * A corrected model that is written whole, but does not have its name yet. What is not published is removed on
     * close.
     */
    public static final class Staged implements AutoCloseable {
        private final Optional<OnnxModel> expected;
        private final Supplier<OnnxModel> reading;
        private final Runnable publishing;
        private final Runnable closing;

        private Staged(
                Optional<OnnxModel> expected, Supplier<OnnxModel> reading, Runnable publishing, Runnable closing) {
            this.expected = expected;
            this.reading = reading;
            this.publishing = publishing;
            this.closing = closing;
        }

        /**
         * The model that the written file must hold bit for bit; empty for a Keras file, which holds weights in a form
         * of its own.
         */
        public Optional<OnnxModel> expected() {
            return expected;
        }

        /** What was written, read back. */
        public OnnxModel readBack() {
            return reading.get();
        }

        public void publish() {
            publishing.run();
        }

        @Override
        public void close() {
            closing.run();
        }
    }

    @Override
    public String toString() {
        return path.toString();
    }
}
