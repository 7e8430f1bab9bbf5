package dev.rebias.keras;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A file with a Keras model, in one of the two forms that Keras writes. */
sealed interface KerasFile permits WholeModelFile, KerasArchive {
    /** The attribute of the HDF5 root group in which rebias notes that it has corrected the model. */
    String MARK = "rebias_bias_correction";

    /** The model's configuration, JSON. */
    String config();

    /**
     * The weights of a layer, in the order that the file states.
     *
     * @param ordinal how many layers of its class come before it
     */
    List<KerasWeight> weights(KerasLayer layer, int ordinal);

    /** What an earlier correction noted, if there was one. */
    Optional<String> mark();

    /**
     * The file with other biases, all else in it as it was.
     *
     * @param config the configuration, with {@code use_bias} set where a bias is added
     * @param biases the new biases, each with its layer; layers that have none get one
     * @param mark what to note of the correction
     */
    byte[] corrected(String config, Map<KerasLayer, float[]> biases, String mark);
}
