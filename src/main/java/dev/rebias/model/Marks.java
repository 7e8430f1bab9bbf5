package dev.rebias.model;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.StringStringEntryProto;
import dev.rebias.error.UnsupportedException;
import java.util.List;
import java.util.Optional;

/**
 * What a corrected model says of its correction, in its metadata: how it came about, and what it takes to undo it. Nothing that depends on when, where or on what device it was made.
 */
public final class Marks {
    /** How the correction came about: JSON. */
    private static final String PROVENANCE = "rebias";
    /** SHA-256 of nodes and tensors as the correction left them. */
    private static final String GRAPH = "rebias.graph";
    /** SHA-256 of what was changed, as it was before. */
    private static final String ORIGINALS = "rebias.originals";
    /** What was changed, as it was before. */
    private static final String UNDO = "rebias.undo";

    private static final List<String> KEYS = List.of(PROVENANCE, GRAPH, ORIGINALS, UNDO);

    private Marks() {}

    /** How a model was corrected, as {@link #marked} was told; empty where it was not, or does not say. */
    public static Optional<String> provenance(OnnxModel model) {
        return find(model.proto(), PROVENANCE);
    }

    /** Whether a model's correction can be undone. */
    public static boolean isUndoable(OnnxModel model) {
        return find(model.proto(), UNDO).isPresent();
    }

    /**
     * A corrected model with what is to be said of its correction.
     *
     * @param original the model that was corrected; if it has been corrected before and can be undone, so can both corrections at once
     * @param corrected that model with other biases
     * @param provenance how the correction came about
     * @param undoable whether to store what it takes to undo it
     */
    public static OnnxModel marked(OnnxModel original, OnnxModel corrected, String provenance, boolean undoable) {
        OnnxModel first = isUndoable(original) && isUnchanged(original) ? undone(original) : original;
        Undo undo = Undo.of(first, corrected.proto());
        ModelProto.Builder proto = cleared(corrected.proto());
        add(proto, PROVENANCE, provenance);
        add(proto, GRAPH, graphHash(corrected.proto()));
        add(proto, ORIGINALS, undo.hash());
        if (undoable) {
            add(proto, UNDO, undo.text());
        }
        return new OnnxModel(corrected.name(), corrected.folder(), proto.build(), corrected.hints());
    }

    /**
     * The model as it was before its correction, or before the first of several, bit for bit.
     *
     * @throws UnsupportedException if it was not corrected, was changed since, or holds nothing to undo its correction with
     */
    public static OnnxModel undone(OnnxModel model) {
        if (provenance(model).isEmpty()) {
            throw new UnsupportedException("'" + model.name() + "' was not corrected by rebias, or does not say so");
        }
        String text = find(model.proto(), UNDO)
                .orElseThrow(
                        () -> new UnsupportedException(
                                "'" + model.name()
                                        + "' holds nothing to undo its correction with (it was made with --no-undo): take the original file"));
        if (!isUnchanged(model)) {
            throw new UnsupportedException(
                    "'" + model.name()
                            + "' was changed since it was corrected, so its correction cannot be undone: take the original file");
        }
        Undo undo = Undo.parse(model.name(), text);
        if (!find(model.proto(), ORIGINALS).equals(Optional.of(undo.hash()))) {
            throw new UnsupportedException(
                    "what '" + model.name()
                            + "' holds of its biases before the correction is damaged (its hash is another): take the original file");
        }
        ModelProto proto = cleared(model.proto())
                .setGraph(undo.apply(model.name(), model.proto().getGraph()))
                .build();
        return new OnnxModel(model.name(), model.folder(), proto, model.hints());
    }

    private static boolean isUnchanged(OnnxModel model) {
        return find(model.proto(), GRAPH).equals(Optional.of(graphHash(model.proto())));
    }

    /** Of nodes and tensors; where tensors outside of the file lie does not matter. */
    private static String graphHash(ModelProto proto) {
        return Undo.sha256(ExternalData.withoutLocations(proto).getGraph());
    }

    private static Optional<String> find(ModelProto proto, String key) {
        return proto.getMetadataPropsList().stream()
                .filter(e -> e.getKey().equals(key))
                .map(StringStringEntryProto::getValue)
                .findFirst();
    }

    private static ModelProto.Builder cleared(ModelProto proto) {
        List<StringStringEntryProto> others = proto.getMetadataPropsList().stream()
                .filter(e -> !KEYS.contains(e.getKey()))
                .toList();
        return proto.toBuilder().clearMetadataProps().addAllMetadataProps(others);
    }

    private static void add(ModelProto.Builder proto, String key, String value) {
        proto.addMetadataProps(StringStringEntryProto.newBuilder().setKey(key).setValue(value));
    }
}
