package dev.rebias;

import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.keras.KerasModel;
import dev.rebias.model.Marks;
import dev.rebias.model.OnnxModel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A float model and the quantised model made from it, read.
 *
 * @param floating the float model, as ONNX
 * @param quantized the quantised model, as ONNX
 * @param files the files that they came from, external data included
 * @param keras the quantised model as Keras has it, where it is one
 * @param ownWeights whether the float model is the Keras model itself with the float weights that its file holds: its
 *     activations are quantised, so there is no float network to compare with
 */
public record ModelPair(
        OnnxModel floating, OnnxModel quantized, List<Path> files, Optional<KerasModel> keras, boolean ownWeights) {
    public ModelPair {
        files = List.copyOf(files);
    }

    /** Two ONNX models. */
    public static ModelPair of(OnnxModel floating, OnnxModel quantized) {
        return new ModelPair(floating, quantized, List.of(), Optional.empty(), false);
    }

    /**
     * Reads two models from files, both ONNX or both Keras.
     *
     * @throws UsageException if a file is missing, or they are not of one kind
     * @throws UnsupportedException if a file is damaged, or holds what rebias does not know
     */
    public static ModelPair read(Path floatFile, Path quantizedFile) {
        boolean keras = KerasModel.isKeras(quantizedFile);
        if (keras != KerasModel.isKeras(floatFile)) {
            throw new UsageException("'" + (keras ? quantizedFile : floatFile) + "' is a Keras model and '"
                    + (keras ? floatFile : quantizedFile) + "' is not: give two models of one kind");
        }
        if (keras) {
            KerasModel quantized = KerasModel.read(quantizedFile);
            OnnxModel computed = quantized.quantized();
            return new ModelPair(
                    KerasModel.read(floatFile).floating(),
                    computed,
                    List.of(floatFile, quantizedFile),
                    Optional.of(quantized),
                    false);
        }
        OnnxModel quantized = OnnxModel.read(quantizedFile);
        OnnxModel floating = OnnxModel.read(floatFile);
        List<Path> files = new ArrayList<>(List.of(floatFile, quantizedFile));
        files.addAll(floating.externalFiles());
        files.addAll(quantized.externalFiles());
        return new ModelPair(floating, quantized, files, Optional.empty(), false);
    }

    /**
     * Reads a quantised Keras model, whose file also holds the float weights: for the reference {@code layer}.
     *
     * @param again whether to take a model that has been corrected already
     * @throws UsageException if the file is missing, or the model has been corrected already: its biases, which the
     *     float reference takes over, contain that correction
     * @throws UnsupportedException if the file is damaged, or holds what rebias does not know
     */
    public static ModelPair readKeras(Path file, boolean again) {
        KerasModel quantized = KerasModel.read(file);
        OnnxModel computed = quantized.quantized();
        if (!again && quantized.correctedBefore().isPresent()) {
            throw new UsageException("'" + file + "' has been corrected already ("
                    + quantized.correctedBefore().get()
                    + "), and its biases, which the float reference takes over, contain that correction: a "
                    + "second one would be"
                    + " added to it; correct the original file, give the float model too (`floatFile`), or "
                    + "insist with `again`");
        }
        return new ModelPair(quantized.floating(), computed, List.of(file), Optional.of(quantized), true);
    }

    /**
     * How the quantised model was corrected before; empty where it was not, or does not say how.
     *
     * @throws UnsupportedException if it says what cannot be read
     */
    public Optional<Provenance> provenance() {
        return keras.isPresent() ? Provenance.of(keras.get()) : Provenance.of(quantized);
    }

    /** Why the quantised model's earlier corrections could not all be undone; empty where they can, or it has none. */
    public Optional<String> undoObstacle() {
        return keras.isPresent() ? keras.get().undoObstacle() : Marks.undoObstacle(quantized);
    }

    /**
     * Refuses what the options ask for of a model that cannot be written so.
     *
     * @throws UnsupportedException if they ask for new weights of a Keras model
     */
    public void requireAdjustable(CorrectionOptions options) {
        if (options.adjust() == Adjustment.WEIGHTS && keras.isPresent()) {
            throw new UnsupportedException(
                    "a Keras model quantises its weights on every call, with a scale that follows from them: its "
                            + "weights cannot be chosen anew (`adjust` weights); adjust biases");
        }
    }
}
