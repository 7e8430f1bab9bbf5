package dev.rebias.keras;

import dev.rebias.error.Failure;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.files.InputFile;
import dev.rebias.keras.KerasNetwork.Form;
import dev.rebias.model.OnnxModel;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * A Keras model in a file: a whole model in HDF5 (.h5, Keras 2.4 and later, tf_keras, Keras 3) or a .keras archive
 * (Keras 3); sequential, or functional with one input and one output. A quantised model is one with cnn2snn's layers,
 * which hold float weights and quantise them on every call.
 */
public final class KerasModel {
    private static final byte[] HDF5 = {(byte) 0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    private static final byte[] ZIP = {'P', 'K', 3, 4};

    /** So many corrections are undone at once; a small file can tell of many thousands. */
    private static final int MOST_CORRECTIONS = 64;

    private final Path path;
    private final KerasFile file;
    private final KerasConfig config;

    private KerasModel(Path path, KerasFile file, KerasConfig config) {
        this.path = path;
        this.file = file;
        this.config = config;
    }

    /**
     * Whether a file is meant to be a Keras model: HDF5 by its first bytes, or any by its name.
     *
     * @throws UsageException if there is no such file
     */
    public static boolean isKeras(Path path) {
        String name = String.valueOf(path.getFileName());
        if (name.endsWith(".h5") || name.endsWith(".hdf5") || name.endsWith(".keras")) {
            return true;
        }
        if (!InputFile.isFile(path)) {
            return false;
        }
        try (InputStream in = Files.newInputStream(path)) {
            byte[] start = in.readNBytes(HDF5.length);
            return Arrays.equals(start, HDF5);
        } catch (IOException e) {
            throw new RebiasException("cannot read model file '" + path + "': " + Failure.reason(e), e);
        }
    }

    private static boolean isZip(byte[] start) {
        return Arrays.equals(Arrays.copyOf(start, ZIP.length), ZIP);
    }

    /**
     * Reads a file.
     *
     * @throws UsageException if there is no such file
     * @throws UnsupportedException if it is not a Keras model, is damaged, or uses what rebias does not know
     */
    public static KerasModel read(Path path) {
        if (!InputFile.isFile(path)) {
            throw new UsageException(
                    InputFile.exists(path)
                            ? "model '" + path
                                    + "' is not a file (rebias does not read TensorFlow's SavedModel folders): "
                                    + "save the model as .h5 or .keras"
                            : "model file '" + path + "' does not exist: check the path");
        }
        byte[] bytes;
        try {
            bytes = Files.readAllBytes(path);
        } catch (IOException e) {
            throw new RebiasException("cannot read model file '" + path + "': " + Failure.reason(e), e);
        } catch (OutOfMemoryError e) {
            throw new UnsupportedException("model file '" + path + "' is too large to read whole", e);
        }
        return of(path, bytes);
    }

    /** Reads a model from the bytes of a file. Throws as {@link #read(Path)} does. */
    public static KerasModel of(Path path, byte[] bytes) {
        return of(path, "'" + path + "'", bytes);
    }

    private static KerasModel of(Path path, String where, byte[] bytes) {
        KerasFile file = file(where, bytes);
        KerasConfig described = KerasConfig.parse(path.toString(), file.config());
        List<KerasLayer> layers = new ArrayList<>();
        for (KerasLayer layer : described.layers()) {
            layers.add(
                    layer.className().equals("InputLayer")
                            ? layer
                            : layer.withWeights(
                                    file.weights(layer, described.ordinals().get(layer.name()))));
        }
        return new KerasModel(path, file, new KerasConfig(layers, described.ordinals(), described.output()));
    }

    private static KerasFile file(String where, byte[] bytes) {
        return isZip(bytes) ? new KerasArchive(where, bytes) : new WholeModelFile(where, bytes);
    }

    /** What messages call it: the file's path. */
    public String name() {
        return path.toString();
    }

    /**
     * The model as it computes, as ONNX: weights are quantised values where a layer quantises them, and quantising
     * activations round as cnn2snn's do. Its input takes what Keras' does, images as [height, width, channels].
     *
     * @throws UnsupportedException if there is a layer that rebias does not know, or whose weights do not fit its
     *     configuration
     */
    public OnnxModel computed() {
        return KerasNetwork.of(name(), config, Form.QUANTIZED, Map.of());
    }

    /** The same of a model that must have quantised layers. Throws as {@link #computed} does. */
    public OnnxModel quantized() {
        if (config.layers().stream().noneMatch(KerasLayer::isQuantized)) {
            throw new UnsupportedException("'" + path
                    + "' has no layer with quantised weights (QuantizedConv2D, QuantizedSeparableConv2D, "
                    + "QuantizedDense): it is a float model");
        }
        return computed();
    }

    /** The same with the stored float weights. Throws as {@link #computed} does. */
    public OnnxModel floating() {
        return KerasNetwork.of(name() + " (float weights)", config, Form.FLOAT, Map.of());
    }

    /** Whether it is a .keras archive; else it is an HDF5 file. */
    public boolean isArchive() {
        return file instanceof KerasArchive;
    }

    /** What an earlier correction by rebias noted in the file, if there was one. */
    public Optional<String> correctedBefore() {
        return file.noted(KerasFile.MARK);
    }

    /** How an earlier correction was made, JSON; empty where there was none, or it did not say. */
    public Optional<String> provenance() {
        return file.noted(KerasFile.PROVENANCE);
    }

    /**
     * What undoing came to.
     *
     * @param bytes the file
     * @param obstacle why that one's own, earlier correction could not be undone too; empty where it has none
     */
    public record Undone(byte[] bytes, Optional<String> obstacle) {}

    /** Why earlier corrections could not all be undone; empty where they can, or there are none. */
    public Optional<String> undoObstacle() {
        if (correctedBefore().isEmpty()) {
            return Optional.empty();
        }
        try {
            return undone().obstacle();
        } catch (UnsupportedException e) {
            return Optional.of(e.getMessage());
        }
    }

    /**
     * The file before its correction, or before the first of several as far as they can be undone: an HDF5 file bit for
     * bit, an archive with the contents of every entry bit for bit.
     *
     * @throws UnsupportedException if it was not corrected, was changed since, holds nothing to undo its correction
     *     with, or tells of more than {@value #MOST_CORRECTIONS} corrections
     */
    public Undone undone() {
        if (correctedBefore().isEmpty()) {
            throw new UnsupportedException("'" + path + "' was not corrected by rebias, or does not say so");
        }
        String where = "the original of '" + path + "'";
        byte[] bytes = undone(file, "'" + path + "'");
        KerasFile before = file(where, bytes);
        Optional<String> obstacle = Optional.empty();
        for (int corrections = 2;
                obstacle.isEmpty() && before.noted(KerasFile.MARK).isPresent();
                corrections++) {
            if (corrections > MOST_CORRECTIONS) {
                throw new UnsupportedException("'" + path + "' tells of more than " + MOST_CORRECTIONS
                        + " corrections, one after the other, and so many are not undone: take the original file");
            }
            try {
                byte[] earlier = undone(before, where);
                before = file(where, earlier);
                bytes = earlier;
            } catch (UnsupportedException e) {
                obstacle = Optional.of(e.getMessage());
            }
        }
        // It comes from text that anybody can have written.
        of(path, where, bytes);
        return new Undone(bytes, obstacle);
    }

    private static byte[] undone(KerasFile corrected, String where) {
        return corrected.undone(corrected
                .undo()
                .orElseThrow(() -> new UnsupportedException(
                        where + " holds nothing to undo its correction with (it was made with `undo(false)`, or by an "
                                + "older rebias): take the original file")));
    }

    /**
     * The corrected model as ONNX for other tools: weights as INT8 behind a DequantizeLinear, activations between a
     * QuantizeLinear and a DequantizeLinear. A value just half way between two steps goes to the even one there, and
     * down in Keras.
     *
     * @param corrections for each layer that is to change, by name, delta per channel
     * @throws UnsupportedException if weights have more than 8 bits
     */
    public OnnxModel toOnnx(Map<String, float[]> corrections) {
        Map<String, float[]> biases = new HashMap<>();
        biases(corrections).forEach((layer, bias) -> biases.put(layer.name(), bias));
        return KerasNetwork.of(name() + " (corrected)", config, Form.QDQ, biases);
    }

    /**
     * The file with corrected biases. {@code use_bias} is set and a bias added where a layer has none; all else stays,
     * but for a note of the correction and what undoes it.
     *
     * @param corrections for each layer that is to change, by name, delta per channel
     * @param note what the file says of it
     * @throws UnsupportedException if the file is stored in a way that rebias cannot change
     */
    public byte[] corrected(Map<String, float[]> corrections, CorrectionNote note) {
        Map<KerasLayer, float[]> biases = biases(corrections);
        Set<String> added = new HashSet<>();
        biases.keySet().stream().filter(layer -> !layer.usesBias()).forEach(layer -> added.add(layer.name()));
        byte[] written = file.corrected(KerasConfig.withBiases(file.config(), added), biases, note);
        check(of(path, "the corrected form of '" + path + "'", written), biases);
        return written;
    }

    /**
     * Tries to write corrections of nothing, so that what stands against it is known before any are computed.
     *
     * @throws UnsupportedException as {@link #corrected} does
     */
    public void checkWritable() {
        Map<String, float[]> nothing = new HashMap<>();
        config.layers().stream().filter(KerasLayer::isQuantized).forEach(layer -> {
            long[] kernel = layer.weights().get(layer.biasIndex() - 1).shape();
            nothing.put(layer.name(), new float[Math.toIntExact(kernel[kernel.length - 1])]);
        });
        corrected(nothing, new CorrectionNote("", Optional.empty(), false));
    }

    /** b + delta for every layer that is to change. */
    private Map<KerasLayer, float[]> biases(Map<String, float[]> corrections) {
        Map<KerasLayer, float[]> biases = new LinkedHashMap<>();
        for (KerasLayer layer : config.layers()) {
            if (corrections.containsKey(layer.name())) {
                float[] bias = corrections.get(layer.name()).clone();
                if (layer.usesBias()) {
                    float[] old = layer.weights().get(layer.biasIndex()).values();
                    for (int c = 0; c < bias.length; c++) {
                        bias[c] = (float) ((double) old[c] + bias[c]);
                    }
                }
                biases.put(layer, bias);
            }
        }
        return biases;
    }

    /** Reads back what was written, so that no damaged file leaves the program. */
    private static void check(KerasModel written, Map<KerasLayer, float[]> biases) {
        for (KerasLayer layer : written.config.layers()) {
            biases.forEach((changed, bias) -> {
                if (changed.name().equals(layer.name())
                        && (!layer.usesBias()
                                || !Arrays.equals(
                                        layer.weights().get(layer.biasIndex()).values(), bias))) {
                    throw new IllegalStateException("the bias of " + layer.text() + " was not written as it should be");
                }
            });
        }
    }
}
