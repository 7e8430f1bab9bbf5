package dev.rebias;

import ai.onnx.proto.OnnxMl.ModelProto;
import dev.rebias.error.UnsupportedException;
import dev.rebias.model.BiasSites;
import dev.rebias.model.LayerPair;
import dev.rebias.model.WeightSite;
import dev.rebias.model.WeightSites;
import dev.rebias.model.WeightWriter;
import dev.rebias.op.Unfolding;
import dev.rebias.op.WeightGrid;
import dev.rebias.sweep.LayerMoments;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Which layers' weights are chosen anew, where they are in the file, and why others keep theirs. */
final class WeightAdjustment {
    /** Products of every two of so many inputs take half a gigabyte. */
    private static final int MOST_WEIGHTS = 8192;

    private final BiasSites sites;
    private final Map<LayerPair, WeightSite> adjusted = new LinkedHashMap<>();
    private final Map<LayerPair, String> obstacles = new LinkedHashMap<>();

    /** The adjustment that the options ask for of these layers. */
    WeightAdjustment(BiasSites sites, List<LayerPair> layers, CorrectionOptions options) {
        this.sites = sites;
        if (options.adjust() == Adjustment.BIASES) {
            return;
        }
        WeightSites weights = new WeightSites(sites, options.weightBits());
        for (LayerPair pair : layers) {
            WeightSites.Found found = weights.find(pair.quantized());
            Optional<Unfolding> unfolding =
                    Unfolding.of(pair.quantized().op(), pair.quantized().weightShape());
            if (unfolding.isEmpty()) {
                obstacles.put(pair, "its data are transposed");
            } else if (unfolding.get().length() > MOST_WEIGHTS) {
                obstacles.put(
                        pair,
                        "each of its outputs has " + unfolding.get().length()
                                + " weights: they are chosen from the products of every two of their inputs, which "
                                + "is done for up to "
                                + MOST_WEIGHTS);
            } else {
                found.site()
                        .ifPresentOrElse(site -> adjusted.put(pair, site), () -> obstacles.put(pair, found.obstacle()));
            }
        }
        if (adjusted.isEmpty()) {
            Map.Entry<LayerPair, String> first = obstacles.entrySet().iterator().next();
            throw new UnsupportedException("no layer's weights can be chosen anew in '"
                    + sites.name() + "' ('" + first.getKey().name() + "': " + first.getValue()
                    + "): adjust biases instead");
        }
    }

    /** Whether a layer's weights are chosen anew. */
    boolean of(LayerPair pair) {
        return adjusted.containsKey(pair);
    }

    /** Why a layer keeps its weights although weights are to be chosen anew; empty where it does not. */
    Optional<String> obstacle(LayerPair pair) {
        return Optional.ofNullable(obstacles.get(pair));
    }

    /** By the number of the layer, the values that weights can take which are chosen anew. */
    Map<Integer, WeightGrid> grids(List<LayerPair> layers) {
        Map<Integer, WeightGrid> grids = new HashMap<>();
        for (int i = 0; i < layers.size(); i++) {
            int layer = i;
            Optional.ofNullable(adjusted.get(layers.get(i))).ifPresent(site -> grids.put(layer, site));
        }
        return grids;
    }

    /** The model with the weights that were chosen. */
    ModelProto written(ModelProto model, List<LayerPair> layers, List<LayerMoments> moments) {
        Map<WeightSite, double[]> weights = new LinkedHashMap<>();
        for (int i = 0; i < layers.size(); i++) {
            WeightSite site = adjusted.get(layers.get(i));
            moments.get(i)
                    .weights()
                    .filter(choice -> choice.adjusted() && site != null)
                    .ifPresent(choice -> weights.put(site, choice.multiples()));
        }
        return WeightWriter.write(sites, model, weights);
    }
}
