package dev.rebias;

import dev.rebias.measure.Moments;
import dev.rebias.model.BiasSites;
import dev.rebias.model.Layer;
import dev.rebias.model.LayerPair;
import dev.rebias.op.BiasGrid;
import dev.rebias.sweep.Reference;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;

/** What the user should know about how a sweep was done. */
record SweepWarnings(BiasCorrection owner, CorrectionOptions options, Batching batching) {
    /**
     * By how much of a memory limit tensors may exceed it before that is worth a warning: what waits goes to the file
     * once it has.
     */
    private static final double OVER_LIMIT = 0.05;

    /** As many channels of a layer are named in a warning. */
    private static final int MOST_NAMED = 20;

    /**
     * All of them, one sentence each.
     *
     * @param moments what was measured of each layer
     * @param usual the batch size that was wanted
     * @param batchSize that which the device's memory had room for
     * @param peak the most bytes of tensors at once
     */
    List<String> of(
            Reference reference, List<LayerPair> layers, List<Moments> moments, int usual, int batchSize, long peak) {
        List<String> all = new ArrayList<>();
        for (int i = 0; i < layers.size(); i++) {
            kept(layers.get(i).quantized(), moments.get(i)).ifPresent(all::add);
        }
        if (batchSize < usual) {
            all.add("batches had " + batchSize + " samples instead of " + usual
                    + ", for more did not fit into the device's memory: `batchSize` " + batchSize
                    + " saves the attempts; the last bits of float layers may differ from those of other sizes");
        }
        owner.layers().rescaling(reference).ifPresent(all::add);
        if (reference == Reference.LAYER && owner.pairing().sameWeights()) {
            all.add("the two models have the same weights and biases, so the layer reference finds nothing to correct; "
                    + "`reference` network also sees what quantised activations do");
        }
        if ((double) peak > options.memoryLimit() * (1 + OVER_LIMIT)) {
            all.add(String.format(
                    Locale.ROOT,
                    "tensors took %.1f MB at once, more than the memory limit of %.1f MB: what is worked on does "
                            + "not go to the file, %s",
                    peak / 1e6,
                    options.memoryLimit() / 1e6,
                    batchSize == 1
                            ? "and a batch is one sample already"
                            : "and a batch is " + batchSize + " samples"
                                    + (batching.fixed().isPresent()
                                            ? ", which the model fixes"
                                            : "; a smaller batch size takes less")));
        }
        return all;
    }

    /** Which channels of a layer keep their bias, and why. */
    private Optional<String> kept(Layer layer, Moments moments) {
        List<Integer> kept = moments.kept();
        if (kept.isEmpty()) {
            return Optional.empty();
        }
        BiasGrid grid = owner.sites().grid(layer);
        String steps = grid.form() == BiasGrid.Form.STEPS
                ? kept.stream()
                        .map(c -> String.format(Locale.ROOT, "%.2g", grid.steps()[c]))
                        .distinct()
                        .limit(MOST_NAMED)
                        .collect(Collectors.joining(", ", " in steps of ", ""))
                : "";
        String storage = owner.sites().storage(layer);
        return Optional.of(String.format(
                "layer '%s': %s %s %s, whose correction does not fit %s%s; the layer's other channels are corrected",
                layer.name(),
                kept.size() == 1 ? "channel" : "channels",
                kept.stream().limit(MOST_NAMED).map(String::valueOf).collect(Collectors.joining(", "))
                        + (kept.size() > MOST_NAMED ? " and " + (kept.size() - MOST_NAMED) + " more" : ""),
                kept.size() == 1 ? "keeps its bias" : "keep their biases",
                storage.equals(BiasSites.NONE) ? "int32" : storage,
                steps));
    }
}
