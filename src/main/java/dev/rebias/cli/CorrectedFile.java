package dev.rebias.cli;

import dev.rebias.CorrectionResult;
import dev.rebias.Version;
import dev.rebias.error.UsageException;
import dev.rebias.files.OutputFile;
import dev.rebias.keras.KerasModel;
import dev.rebias.model.ModelFile;
import dev.rebias.model.OnnxModel;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** Where a corrected model goes: a file of the kind that it came from, or for a Keras model also an ONNX file. */
final class CorrectedFile {
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
     * @throws UsageException as {@link OutputFile#check} does, or if the name asks for a form that the model cannot be written in
     */
    static CorrectedFile check(ModelPair pair, Path output, Collection<Path> inputs, boolean force) {
        String name = output.toString().toLowerCase(Locale.ROOT);
        boolean hdf5 = name.endsWith(".h5") || name.endsWith(".hdf5");
        if (pair.keras().isEmpty()) {
            if (hdf5 || name.endsWith(".keras")) {
                throw new UsageException("output '" + output
                        + "' has the name of a Keras model, but the models are ONNX: name it .onnx");
            }
            return new CorrectedFile(
                    output,
                    Optional.empty(),
                    Optional.of(ModelFile.check(pair.quantized(), output, inputs, force)),
                    Optional.empty());
        }
        boolean archive = pair.keras().get().isArchive();
        boolean fits = archive ? name.endsWith(".keras") : hdf5;
        if (!fits && !name.endsWith(".onnx")) {
            throw new UsageException("output '" + output + "' does not say in which form to write: name it "
                    + (archive ? ".keras" : ".h5") + ", as the model is stored, or .onnx");
        }
        OutputFile file = OutputFile.check(output, inputs, force);
        if (fits) {
            pair.keras().get().checkWritable();
        } else {
            pair.keras().get().toOnnx(Map.of());
        }
        return new CorrectedFile(output, pair.keras(), Optional.empty(), Optional.of(file));
    }

    /** The files that will be written. */
    List<Path> paths() {
        return onnxFile.map(ModelFile::paths).orElse(List.of(path));
    }

    private boolean isOnnx() {
        return keras.isEmpty() || path.toString().toLowerCase(Locale.ROOT).endsWith(".onnx");
    }

    /** Writes the corrected model, whole or not at all. */
    void write(CorrectionResult result) {
        if (keras.isEmpty()) {
            onnxFile.orElseThrow().write(result.model());
            return;
        }
        Map<String, float[]> corrections = result.corrections();
        String note = String.format(
                Locale.ROOT,
                "rebias %s, reference %s, %d samples",
                Version.current(),
                result.reference().name().toLowerCase(Locale.ROOT),
                result.samples());
        byte[] bytes = isOnnx()
                ? keras.get().toOnnx(corrections).proto().toByteArray()
                : keras.get().corrected(corrections, note);
        kerasFile.orElseThrow().write(bytes);
    }

    /** The model that the written file must hold bit for bit; empty for a Keras file, which holds weights in a form of its own. */
    Optional<OnnxModel> expected(CorrectionResult result) {
        if (keras.isEmpty()) {
            return Optional.of(result.model());
        }
        return isOnnx() ? Optional.of(keras.get().toOnnx(result.corrections())) : Optional.empty();
    }

    /** The written model, read back from its file. */
    OnnxModel readBack() {
        return isOnnx() ? OnnxModel.read(path) : KerasModel.read(path).quantized();
    }

    @Override
    public String toString() {
        return path.toString();
    }
}
