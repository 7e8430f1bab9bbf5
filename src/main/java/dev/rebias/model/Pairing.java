package dev.rebias.model;

import dev.rebias.error.UnsupportedException;
import dev.rebias.model.NormalForm.NotOneLayer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiPredicate;
import java.util.stream.IntStream;

/**
 * Which layer of the quantised model is which layer of the float model: the one whose weights are alike; among equals
 * names decide, then the order in the graph. Both are read in {@linkplain NormalForm normal form}: what one file has
 * folded into weights and bias and the other keeps in nodes of its own makes no difference.
 *
 * @param pairs in the quantised model's graph order
 * @param skipped the layers of the quantised model without a partner, with the reason
 */
public record Pairing(List<LayerPair> pairs, List<SkippedLayer> skipped) {
    /** Floats that differ by less, relative to the largest, were rounded otherwise, not quantised. */
    private static final double FLOAT_ROUNDING = 2e-6;

    public Pairing {
        pairs = List.copyOf(pairs);
        skipped = List.copyOf(skipped);
    }

    /**
     * Pairs the layers of two models.
     *
     * @throws UnsupportedException if the float model is quantised and the quantised one is not
     */
    public static Pairing of(Graph floating, Graph quantized) {
        Pairing pairing = new Pairer(floating, quantized).pair();
        if (Quantisation.isIn(
                        floating,
                        pairing.pairs().stream().map(LayerPair::floating).toList())
                && !Quantisation.isIn(
                        quantized,
                        pairing.pairs().stream().map(LayerPair::quantized).toList())) {
            throw new UnsupportedException("the float model '" + floating.file()
                    + "' is quantised, and the quantised model '" + quantized.file()
                    + "' is not: the two seem to be swapped; exchange them");
        }
        return pairing;
    }

    /**
     * Whether every layer has the weights and the bias of its partner, but for what another spelling rounds otherwise.
     */
    public boolean sameWeights() {
        return pairs.stream()
                .allMatch(p -> same(p.quantized().weights(), p.floating().weights())
                        && same(p.quantized().bias(), p.floating().bias()));
    }

    private static boolean same(double[] a, double[] b) {
        double largest = Arrays.stream(a).map(Math::abs).max().orElse(0);
        return IntStream.range(0, a.length).allMatch(i -> Math.abs(a[i] - b[i]) <= FLOAT_ROUNDING * largest);
    }

    /**
     * Whether nothing in the quantised model is quantised: it has the float model's weights and biases, and no
     * quantiser.
     */
    public boolean nothingIsQuantised(Graph quantized) {
        return skipped.isEmpty()
                && sameWeights()
                && !Quantisation.isIn(
                        quantized, pairs.stream().map(LayerPair::quantized).toList());
    }

    private static final class Pairer {
        private final Layers floatLayers;
        private final Layers quantizedLayers;
        private final List<Layer> quantized;
        private final List<Layer> floating;
        private final IdentityHashMap<Layer, String> reasons = new IdentityHashMap<>();
        private final List<SkippedLayer> notLayers;
        /**
         * The names under which a float layer's results are known: its own output's, and those of what scales and
         * shifts it behind.
         */
        private final IdentityHashMap<Layer, List<String>> floatOutputs = new IdentityHashMap<>();

        private final IdentityHashMap<Layer, List<String>> quantizedOutputs = new IdentityHashMap<>();

        Pairer(Graph floatGraph, Graph quantizedGraph) {
            floatLayers = new Layers(floatGraph);
            quantizedLayers = new Layers(quantizedGraph);
            floating = floatLayers.all();
            quantized = quantizedLayers.all();
            notLayers = quantizedGraph.notLayers();
            floating.forEach(layer -> floatOutputs.put(layer, outputs(floatLayers, layer)));
            quantized.forEach(layer -> quantizedOutputs.put(layer, outputs(quantizedLayers, layer)));
        }

        private static List<String> outputs(Layers layers, Layer layer) {
            List<String> names = new ArrayList<>(List.of(layer.fileOutput()));
            layers.chain(layer).forEach(link -> names.add(link.step().node().fileOutput()));
            return names;
        }

        Pairing pair() {
            IdentityHashMap<Layer, NormalForm> forms = new IdentityHashMap<>();
            IdentityHashMap<Layer, Layer> partners = partners();
            for (Layer q : quantized) {
                Optional.ofNullable(partners.get(q))
                        .map(f -> new NormalForm(quantizedLayers, q, floatLayers, f))
                        .filter(form -> isPlausible(q, partners.get(q), form))
                        .ifPresent(form -> forms.put(q, form));
            }
            Set<Node> floatNodes = Collections.newSetFromMap(new IdentityHashMap<>());
            Set<Node> quantizedNodes = Collections.newSetFromMap(new IdentityHashMap<>());
            forms.values().forEach(form -> {
                floatNodes.addAll(form.floatNodes());
                quantizedNodes.addAll(form.quantizedNodes());
            });
            List<LayerPair> pairs = new ArrayList<>();
            List<SkippedLayer> skipped = new ArrayList<>(notLayers);
            for (Layer q : quantized) {
                try {
                    if (forms.containsKey(q)) {
                        pairs.add(forms.get(q).pair(floatNodes, quantizedNodes));
                        continue;
                    }
                } catch (NotOneLayer e) {
                    reasons.put(q, e.getMessage());
                }
                skipped.add(new SkippedLayer(q.name(), q.fileOutput(), q.op().type(), q.channels(), reasons.get(q)));
            }
            return new Pairing(pairs, skipped);
        }

        private IdentityHashMap<Layer, Layer> partners() {
            List<BiPredicate<Layer, Layer>> hints = List.of(
                    (q, f) -> floatOutputs.get(f).contains(q.fileOutput()),
                    (q, f) -> quantizedOutputs.get(q).stream().anyMatch(floatOutputs.get(f)::contains),
                    (q, f) -> q.name().equals(f.name()));
            Map<String, List<Layer>> kinds = new LinkedHashMap<>();
            quantized.forEach(q -> kinds.computeIfAbsent(OpForms.kind(q), k -> new ArrayList<>())
                    .add(q));
            IdentityHashMap<Layer, Layer> partners = new IdentityHashMap<>();
            kinds.forEach((kind, qs) -> {
                List<Layer> fs = floating.stream()
                        .filter(f -> OpForms.kind(f).equals(kind))
                        .toList();
                partners.putAll(Matching.of(qs, fs, hints));
                qs.forEach(q -> reasons.put(q, unpaired(q, kind, qs.size(), fs.size())));
            });
            return partners;
        }

        private String unpaired(Layer q, String kind, int here, int there) {
            Optional<Layer> named = floating.stream()
                    .filter(f -> floatOutputs.get(f).contains(q.fileOutput())
                            || f.name().equals(q.name()))
                    .findFirst();
            if (there == 0 && named.isPresent()) {
                return "the float model's layer of that name is " + OpForms.kind(named.get()) + ", here it is " + kind;
            }
            return "of layers " + kind + " there are " + here + " here, but " + there + " in the float model";
        }

        private boolean isPlausible(Layer q, Layer f, NormalForm form) {
            boolean plausible = !(form.similarity() < form.leastPlausible());
            if (!plausible) {
                reasons.put(
                        q,
                        String.format(
                                Locale.ROOT,
                                "its weights differ from those of every layer of the float model: even those of "
                                        + "'%s' are alike to %.2f only (1: the same but for a factor, 0: "
                                        + "unrelated; below %.2f it is not corrected)",
                                f.name(),
                                form.similarity(),
                                form.leastPlausible()));
            }
            return plausible;
        }
    }
}
