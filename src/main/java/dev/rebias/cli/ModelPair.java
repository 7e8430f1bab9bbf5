package dev.rebias.cli;

import dev.rebias.BiasCorrection;
import dev.rebias.error.UsageException;
import dev.rebias.keras.KerasModel;
import dev.rebias.model.OnnxModel;
import dev.rebias.sweep.Reference;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The two models of a correction, read.
 *
 * @param files the files that they came from, external data included
 * @param keras the quantised model as Keras has it, where it is one
 */
record ModelPair(OnnxModel floating, OnnxModel quantized, List<Path> files, Optional<KerasModel> keras) {
    /**
     * Reads them.
     *
     * @param floatFile may be left out where the quantised model is a Keras model, whose file holds the float weights too
     * @param force whether to take a Keras model that has been corrected already
     * @throws UsageException if the float model is missing, or is of the other kind
     */
    static ModelPair read(Optional<Path> floatFile, Path quantizedFile, Optional<Reference> reference, boolean force) {
        return KerasModel.isKeras(quantizedFile)
                ? keras(floatFile, quantizedFile, reference, force)
                : onnx(floatFile, quantizedFile);
    }

    private static ModelPair onnx(Optional<Path> floatFile, Path quantizedFile) {
        OnnxModel quantized = OnnxModel.read(quantizedFile);
        Path file = floatFile.orElseThrow(() -> new UsageException("the quantised ONNX model '" + quantizedFile
                + "' holds no float weights: give the float model that it was made from, with --float F.onnx"));
        if (KerasModel.isKeras(file)) {
            throw new UsageException("'" + file + "' is a Keras model and '" + quantizedFile
                    + "' an ONNX model: give two models of one kind");
        }
        OnnxModel floating = OnnxModel.read(file);
        List<Path> files = new ArrayList<>(List.of(file, quantizedFile));
        files.addAll(floating.externalFiles());
        files.addAll(quantized.externalFiles());
        return new ModelPair(floating, quantized, files, Optional.empty());
    }

    private static ModelPair keras(
            Optional<Path> floatFile, Path quantizedFile, Optional<Reference> reference, boolean force) {
        KerasModel quantized = KerasModel.read(quantizedFile);
        OnnxModel computed = quantized.quantized();
        if (floatFile.isPresent()) {
            Path file = floatFile.get();
            if (!KerasModel.isKeras(file)) {
                throw new UsageException("'" + quantizedFile + "' is a Keras model and '" + file
                        + "' is not: give two models of one kind");
            }
            OnnxModel floating = KerasModel.read(file).floating();
            return new ModelPair(floating, computed, List.of(file, quantizedFile), Optional.of(quantized));
        }
        if (!reference.equals(Optional.of(Reference.LAYER))) {
            throw new UsageException(
                    "--reference " + (reference.isPresent() ? "network" : "auto")
                            + " compares with the float network's own activations: give that network with --float, as a Keras model");
        }
        if (!force && quantized.correctedBefore().isPresent()) {
            throw new UsageException(
                    "'" + quantizedFile + "' has been corrected already ("
                            + quantized.correctedBefore().get()
                            + "), and its biases, which the float reference takes over, contain that correction: a second one would be added to it; correct the original file, give the float model with --float, or insist with --force");
        }
        return new ModelPair(quantized.floating(), computed, List.of(quantizedFile), Optional.of(quantized));
    }

    BiasCorrection correction() {
        return BiasCorrection.of(floating, quantized);
    }
}
