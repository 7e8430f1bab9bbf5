package dev.rebias.model;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.StringStringEntryProto;
import dev.rebias.error.UnsupportedException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * What a corrected model says of its correction, in its metadata: how it came about, and what it takes to undo it.
 * Nothing that depends on when, where or on what device it was made.
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

    /**
     * What was changed is not stored where it would make the file so much larger: metadata are text, of at most 2 GiB.
     */
    private static final long MOST_UNDO_BYTES = 512L << 20;

    /** Nor where the file would come near to what one message of protobuf can be, 2 GiB. */
    private static final long MOST_FILE_BYTES = Integer.MAX_VALUE - (64L << 20);

    private static final List<String> KEYS = List.of(PROVENANCE, GRAPH, ORIGINALS, UNDO);

    private Marks() {}

    /**
     * A corrected model with what is to be said of its correction.
     *
     * @param undoable whether it holds what it takes to undo the correction
     * @param toFirst whether that leads back behind an earlier correction too
     * @param warnings what the user should know of that, one sentence each
     */
    public record Marked(OnnxModel model, boolean undoable, boolean toFirst, List<String> warnings) {
        public Marked {
            warnings = List.copyOf(warnings);
        }
    }

    /** How a model was corrected, as {@link #marked} was told; empty where it was not, or does not say. */
    public static Optional<String> provenance(OnnxModel model) {
        return find(model.proto(), PROVENANCE);
    }

    /** Whether a model's correction can be undone. */
    static boolean isUndoable(OnnxModel model) {
        return find(model.proto(), UNDO).isPresent();
    }

    /**
     * A corrected model with what is to be said of its correction.
     *
     * @param original the model that was corrected; if it has been corrected before and can be undone, so can both
     *     corrections at once
     * @param corrected that model with other biases
     * @param provenance how the correction came about
     * @param undoable whether to store what it takes to undo it
     */
    public static Marked marked(OnnxModel original, OnnxModel corrected, String provenance, boolean undoable) {
        return marked(original, corrected, provenance, undoable, MOST_UNDO_BYTES, MOST_FILE_BYTES);
    }

    /**
     * The same.
     *
     * @param mostUndo the bytes of what was changed beyond which it is not stored
     * @param mostFile the bytes of the file with it from which on it is not
     */
    static Marked marked(
            OnnxModel original,
            OnnxModel corrected,
            String provenance,
            boolean undoable,
            long mostUndo,
            long mostFile) {
        List<String> warnings = new ArrayList<>();
        ModelProto.Builder proto = cleared(corrected.proto());
        add(proto, PROVENANCE, provenance);
        add(proto, GRAPH, graphHash(corrected.proto()));
        boolean toFirst = false;
        boolean stored = false;
        if (undoable) {
            Optional<Undo> behindFirst = undoToFirst(original, corrected, warnings);
            Undo undo = behindFirst.orElseGet(() -> Undo.of(original, corrected.proto()));
            long file = corrected.proto().getSerializedSize() + textBytes(undo);
            stored = undo.bytes() <= mostUndo && file < mostFile;
            toFirst = stored && behindFirst.isPresent();
            if (stored) {
                add(proto, ORIGINALS, undo.hash());
                add(proto, UNDO, undo.text());
            } else {
                warnings.add(String.format(
                        Locale.ROOT,
                        "the corrected model does not hold what it takes to undo the correction, which would be "
                                + "%.0f MB of text: keep the original file",
                        textBytes(undo) / 1e6));
            }
        }
        OnnxModel model = new OnnxModel(corrected.name(), corrected.folder(), proto.build(), corrected.hints());
        return new Marked(model, stored, toFirst, warnings);
    }

    /** How long Base64 makes it. */
    private static long textBytes(Undo undo) {
        return undo.bytes() / 3 * 4;
    }

    /**
     * What undoes a correction and those before it; empty where there were none, or what the model holds of them is of
     * no use.
     */
    private static Optional<Undo> undoToFirst(OnnxModel original, OnnxModel corrected, List<String> warnings) {
        if (!isUndoable(original)) {
            return Optional.empty();
        }
        try {
            return Optional.of(Undo.of(undone(original), corrected.proto()));
        } catch (UnsupportedException e) {
            warnings.add("the correction before this one cannot be undone: " + e.getMessage());
            return Optional.empty();
        }
    }

    /** Why a model's correction could not be undone; empty where it can, or there is none. */
    public static Optional<String> undoObstacle(OnnxModel model) {
        if (provenance(model).isEmpty()) {
            return Optional.empty();
        }
        try {
            undone(model);
            return Optional.empty();
        } catch (UnsupportedException e) {
            return Optional.of(e.getMessage());
        }
    }

    /**
     * The model as it was before its correction, or before the first of several, bit for bit.
     *
     * @throws UnsupportedException if it was not corrected, was changed since, or holds nothing to undo its correction
     *     with, or what makes no model
     */
    public static OnnxModel undone(OnnxModel model) {
        if (provenance(model).isEmpty()) {
            throw new UnsupportedException("'" + model.name() + "' was not corrected by rebias, or does not say so");
        }
        String text = find(model.proto(), UNDO)
                .orElseThrow(() -> new UnsupportedException("'" + model.name()
                        + "' holds nothing to undo its correction with (it was made with "
                        + "`undo(false)`, or that would have been too much): take the original "
                        + "file"));
        if (!isUnchanged(model)) {
            throw new UnsupportedException("'" + model.name()
                    + "' was changed since it was corrected, so its correction cannot be undone: take the "
                    + "original file");
        }
        Undo undo = Undo.parse(model.name(), text);
        if (!find(model.proto(), ORIGINALS).equals(Optional.of(undo.hash()))) {
            throw new UnsupportedException("what '" + model.name()
                    + "' holds of its biases before the correction is damaged (its hash is another): take "
                    + "the original file");
        }
        ModelProto proto = cleared(model.proto())
                .setGraph(undo.apply(model.name(), model.proto().getGraph()))
                .build();
        // It comes from text that anybody can have written.
        LoadCheck.requireTypes(new OnnxModel("the original of " + model.name(), model.folder(), proto, model.hints()));
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
