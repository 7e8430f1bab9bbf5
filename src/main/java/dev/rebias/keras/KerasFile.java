package dev.rebias.keras;

import dev.rebias.error.UnsupportedException;
import dev.rebias.hdf5.Hdf5Editor;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A file with a Keras model, in one of the two forms that Keras writes. */
sealed interface KerasFile permits WholeModelFile, KerasArchive {
    /** The attribute of the HDF5 root group in which rebias notes that it has corrected the model. */
    String MARK = "rebias_bias_correction";

    /** The one in which it notes how, JSON, as in an ONNX file's metadata. */
    String PROVENANCE = "rebias";

    /** The one in which it notes what undoes the correction. */
    String UNDO = "rebias_undo";

    /** What that attribute says where a correction cannot be undone, but one before it could. */
    String NO_UNDO = "none";

    /** The model's configuration, JSON. */
    String config();

    /**
     * The weights of a layer, in the order that the file states.
     *
     * @param ordinal how many layers of its class come before it
     */
    List<KerasWeight> weights(KerasLayer layer, int ordinal);

    /** A text that an earlier correction noted, if there was one. */
    Optional<String> noted(String attribute);

    /** What undoes an earlier correction, if the file holds it. */
    default Optional<String> undo() {
        return noted(UNDO).filter(text -> !text.equals(NO_UNDO));
    }

    /**
     * The file with other biases, all else in it as it was.
     *
     * @param config the configuration, with {@code use_bias} set where a bias is added
     * @param biases the new biases, each with its layer; layers that have none get one
     * @param note what to note of the correction
     */
    byte[] corrected(String config, Map<KerasLayer, float[]> biases, CorrectionNote note);

    /**
     * The file as it was before its last correction.
     *
     * @param undo what undoes it
     * @throws UnsupportedException if that is damaged, or the file was changed since
     */
    byte[] undone(String undo);

    /** Notes a correction in the root group. */
    static void note(Hdf5Editor editor, CorrectionNote note, Optional<String> undo) {
        editor.setText(editor.root(), MARK, note.text());
        note.provenance().ifPresent(json -> editor.setText(editor.root(), PROVENANCE, json));
        undo.ifPresent(text -> editor.setText(editor.root(), UNDO, text));
    }
}
