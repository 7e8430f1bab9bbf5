package dev.rebias.keras;

import dev.rebias.error.UnsupportedException;
import dev.rebias.hdf5.Hdf5Editor;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * A whole model in one HDF5 file, as Keras 2, tf_keras and Keras 3 write it to {@code .h5}: the attribute
 * {@code model_config} of the root group, and in {@code model_weights} a group per layer, whose attribute
 * {@code weight_names} gives the paths of its weights in order.
 */
final class WholeModelFile implements KerasFile {
    private static final String WEIGHTS = "model_weights";
    private static final String NAMES = "weight_names";
    private static final String CONFIG = "model_config";

    /** What undoes a correction names the file itself so. */
    private static final String WHOLE = "file";

    private final String where;
    private final byte[] bytes;
    private final Hdf5File file;

    WholeModelFile(String where, byte[] bytes) {
        this.where = where;
        this.bytes = bytes;
        this.file = Hdf5File.open(where, bytes);
    }

    @Override
    public String config() {
        return file.text("", CONFIG)
                .orElseThrow(() -> new UnsupportedException(where
                        + (file.has(WEIGHTS) || file.texts("", "layer_names").isPresent() || file.has("layers")
                                ? " holds weights, but no model (its attribute model_config is missing): save the "
                                        + "whole model, with model.save()"
                                : " is an HDF5 file, but not a Keras model: it has no attribute model_config")));
    }

    @Override
    public List<KerasWeight> weights(KerasLayer layer, int ordinal) {
        String group = WEIGHTS + "/" + layer.name();
        return names(group).stream()
                .map(name -> file.weight(group + "/" + name))
                .toList();
    }

    private List<String> names(String group) {
        if (!file.has(group)) {
            throw new UnsupportedException(where + " has no group '" + group
                    + "' for the weights of that layer: it was cut or saved in part; save the whole model again");
        }
        return file.texts(group, NAMES)
                .orElseThrow(() -> new UnsupportedException("the group '" + group + "' of " + where
                        + " has no attribute weight_names: it was written by another program, or damaged"));
    }

    @Override
    public Optional<String> noted(String attribute) {
        return file.text("", attribute);
    }

    @Override
    public byte[] undone(String undo) {
        return Optional.ofNullable(Before.parse(where, undo).get(WHOLE))
                .orElseThrow(() -> new UnsupportedException("what " + where
                        + " holds of its biases before the correction is of another kind of file: "
                        + "take the original file"))
                .restored(where, bytes);
    }

    @Override
    public byte[] corrected(String config, Map<KerasLayer, float[]> biases, CorrectionNote note) {
        return note.undoable()
                ? Before.telling(WHOLE, bytes, Map.of(), undo -> edited(config, biases, note, Optional.of(undo)))
                : edited(config, biases, note, undo().map(stale -> NO_UNDO));
    }

    private byte[] edited(String config, Map<KerasLayer, float[]> biases, CorrectionNote note, Optional<String> undo) {
        Hdf5Editor editor = new Hdf5Editor(where, bytes);
        Set<Long> changed = new HashSet<>();
        biases.forEach((layer, bias) -> {
            if (layer.usesBias()) {
                long address =
                        file.address(layer.weights().get(layer.biasIndex()).path());
                if (!changed.add(address)) {
                    throw layer.unsupported("shares its bias with another layer: store them apart");
                }
                editor.setFloats(address, bias);
            } else {
                add(editor, layer, bias);
            }
        });
        if (!config.equals(config())) {
            editor.setText(editor.root(), CONFIG, config);
        }
        KerasFile.note(editor, note, undo);
        return editor.toBytes();
    }

    /** Adds a bias beside a layer's last kernel, named after it, and to the list of the layer's weights. */
    private void add(Hdf5Editor editor, KerasLayer layer, float[] bias) {
        KerasWeight kernel = layer.weights().get(layer.biasIndex() - 1);
        // Keras 2 numbers its variables' outputs: kernel:0.
        String suffix = kernel.name().endsWith(":0") ? ":0" : "";
        String name = "bias" + suffix;
        if (file.has(kernel.group() + "/" + name)) {
            throw layer.unsupported(
                    "has use_bias false, but a dataset '" + kernel.group() + "/" + name + "': it is damaged");
        }
        editor.addFloats(file.address(kernel.group()), name, file.address(kernel.path()), bias);
        String group = WEIGHTS + "/" + layer.name();
        List<String> names = new ArrayList<>(names(group));
        String inner = kernel.group().substring(group.length());
        names.add(layer.biasIndex(), inner.isEmpty() ? name : inner.substring(1) + "/" + name);
        if (!editor.setTexts(file.address(group), NAMES, names)) {
            throw layer.unsupported("has its list of weights in parts, which rebias does not extend");
        }
    }
}
