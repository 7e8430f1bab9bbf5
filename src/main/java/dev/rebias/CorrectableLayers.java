package dev.rebias;

import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.model.BiasSites;
import dev.rebias.model.Graph;
import dev.rebias.model.Layer;
import dev.rebias.model.LayerPair;
import dev.rebias.model.Pairing;
import dev.rebias.model.SkippedLayer;
import dev.rebias.sweep.Reference;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Which layers of a pair of models can be corrected, and why the others cannot. */
final class CorrectableLayers {
    /** Why a layer is left alone whose outputs are other multiples of the float layer's. */
    private static final String RESCALED =
            "each output channel of its weights is that of the float model times a factor of its own: equalised, "
                    + "or scaled otherwise, before it was quantised";

    private final ModelPair models;
    private final Graph quantized;
    private final BiasSites sites;
    private final Pairing pairing;

    /**
     * Pairs the layers.
     *
     * @throws UnsupportedException if no layer of one model pairs with a layer of the other
     */
    CorrectableLayers(ModelPair models, Graph floating, Graph quantized, BiasSites sites) {
        this.models = models;
        this.quantized = quantized;
        this.sites = sites;
        this.pairing = writable(Pairing.of(floating, quantized), floating.file());
    }

    /** The layers that can be corrected, and those that cannot, with reasons. */
    Pairing pairing() {
        return pairing;
    }

    /** Of all pairs those whose bias can be written, and is of use. */
    private Pairing writable(Pairing all, String floatFile) {
        List<LayerPair> pairs = new ArrayList<>();
        List<SkippedLayer> skipped = new ArrayList<>(all.skipped());
        for (LayerPair pair : all.pairs()) {
            Layer q = pair.quantized();
            rescaled(pair)
                    .or(() -> sites.obstacle(q))
                    .ifPresentOrElse(
                            reason -> skipped.add(
                                    new SkippedLayer(q.name(), q.fileOutput(), q.op().type(), q.channels(), reason)),
                            () -> pairs.add(pair));
        }
        if (pairs.isEmpty()) {
            String first = skipped.isEmpty()
                    ? "it has no Conv, ConvTranspose, Gemm or MatMul with constant weights"
                    : skipped.get(0).name() + ": " + skipped.get(0).reason();
            boolean known = skipped.stream()
                    .anyMatch(s -> s.reason().equals(RESCALED) || s.reason().contains("weights differ"));
            throw new UnsupportedException("no layer of '" + quantized.file() + "' pairs with a layer of '"
                    + floatFile + "' (" + first + "): "
                    + (known
                            ? "give the float model that it was quantised from (`floatFile`)"
                            : "are they the same network?"));
        }
        return new Pairing(pairs, skipped);
    }

    private static Optional<String> rescaled(LayerPair pair) {
        return pair.likeness().outputsRescaled() ? Optional.of(RESCALED) : Optional.empty();
    }

    /**
     * Those that are corrected, in the quantised model's order.
     *
     * @throws UsageException if the models have no activations to compare with by that reference
     * @throws UnsupportedException if none is left
     */
    List<LayerPair> of(CorrectionOptions options, Reference reference) {
        if (models.ownWeights() && reference == Reference.NETWORK) {
            throw new UsageException(
                    "the reference network, and auto, which tries it too, compare with the float network's own"
                            + " activations: give that network too (`floatFile`), as a Keras model");
        }
        List<LayerPair> chosen = pairing.pairs().stream()
                .filter(p -> options.layers().test(p.name()))
                .toList();
        List<LayerPair> layers =
                chosen.stream().filter(p -> comparable(p, reference)).toList();
        if (layers.isEmpty() && !chosen.isEmpty()) {
            throw new UnsupportedException(rescaling(reference).orElseThrow());
        }
        if (layers.isEmpty()) {
            throw new UnsupportedException("no layer is left to correct: the selection excludes all "
                    + pairing.pairs().size() + " of '" + quantized.file() + "'");
        }
        return layers;
    }

    /** Whether a float layer can be applied to the quantised layer's data, or need not. */
    private static boolean comparable(LayerPair pair, Reference reference) {
        return reference == Reference.NETWORK || !pair.likeness().inputsRescaled();
    }

    /** What is to be said of weights that were scaled per channel between the two models; empty where none were. */
    Optional<String> rescaling(Reference reference) {
        List<String> outputs = pairing.skipped().stream()
                .filter(s -> s.reason().equals(RESCALED))
                .map(SkippedLayer::name)
                .toList();
        List<String> inputs = pairing.pairs().stream()
                .filter(p -> !comparable(p, reference))
                .map(LayerPair::name)
                .toList();
        if (outputs.isEmpty() && inputs.isEmpty()) {
            return Optional.empty();
        }
        List<String> all = new ArrayList<>(outputs);
        all.addAll(inputs);
        return Optional.of("the weights of " + all.size() + " layers ('" + String.join("', '", all)
                + "') were multiplied by a factor for each channel between the two models, as by cross-layer "
                + "equalisation: "
                + (reference == Reference.NETWORK
                        ? "those layers' outputs mean something else than the float model's, and they are left as "
                                + "they were"
                        : "the float layers cannot be applied to the quantised network's data; use `reference` "
                                + "network, which "
                                + "corrects the layers whose outputs still mean the same")
                + "; or take the float model as it was after the equalisation");
    }
}
