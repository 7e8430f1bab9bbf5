package dev.rebias.keras;

import dev.rebias.error.UnsupportedException;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A whole model in one HDF5 file, as Keras 2, tf_keras and Keras 3 write it to {@code .h5}: the attribute {@code model_config} of the root group,
 * and in {@code model_weights} a group per layer, whose attribute {@code weight_names} gives the paths of its weights in order.
 */
final class WholeModelFile implements KerasFile {
    private static final String WEIGHTS = "model_weights";
    private static final String NAMES = "weight_names";

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
        return file.text("", "model_config")
                .orElseThrow(() -> new UnsupportedException(where
                        + (file.has(WEIGHTS) || file.texts("", "layer_names").isPresent() || file.has("layers")
                                ? " holds weights, but no model (its attribute model_config is missing): save the whole model, with model.save()"
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
    public Optional<String> mark() {
        return file.text("", MARK);
    }

    @Override
    public byte[] corrected(String config, Map<KerasLayer, float[]> biases, String mark) {
        throw new UnsupportedOperationException(where + bytes.length);
    }
}
