package dev.rebias.model;

import dev.rebias.op.Convolution;
import dev.rebias.op.LayerOp;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Which layer of the quantised model is which layer of the float model: by output tensor name, else node name, else position among the
 * layers of the same op and weight shape. A BatchNormalization behind a float layer is folded where the quantised model has it folded, and
 * left alone where it keeps it.
 *
 * @param pairs in the quantised model's graph order
 * @param skipped the layers of the quantised model without a partner, with the reason
 */
public record Pairing(List<LayerPair> pairs, List<SkippedLayer> skipped) {
    public Pairing {
        pairs = List.copyOf(pairs);
        skipped = List.copyOf(skipped);
    }

    /** Pairs the layers of two models. */
    public static Pairing of(Graph floating, Graph quantized) {
        return new Pairer(floating, quantized).pair();
    }

    private static final class Pairer {
        private final Layers floatLayers;
        private final Layers quantizedLayers;
        private final List<Layer> quantized;
        private final List<Layer> floating;
        private final IdentityHashMap<Layer, Layer> partners = new IdentityHashMap<>();
        private final IdentityHashMap<Layer, String> reasons = new IdentityHashMap<>();
        private final List<SkippedLayer> notLayers;

        Pairer(Graph floatGraph, Graph quantizedGraph) {
            floatLayers = new Layers(floatGraph);
            quantizedLayers = new Layers(quantizedGraph);
            floating = new ArrayList<>(floatLayers.all());
            quantized = quantizedLayers.all();
            notLayers = quantizedGraph.notLayers();
        }

        Pairing pair() {
            // A layer is known by the name of its own output, and of the output of the Add or BatchNormalization that
            // it may be corrected with.
            Map<String, Layer> byOutput = new HashMap<>();
            for (Layer layer : floating) {
                floatLayers.batchNormalization(layer).ifPresent(bn -> byOutput.put(bn.fileOutput(), layer));
                floatLayers
                        .biasAdd(layer)
                        .filter(a -> isMatMul(layer))
                        .ifPresent(a -> byOutput.put(a.fileOutput(), layer));
                byOutput.put(layer.fileOutput(), layer);
            }
            Map<String, Layer> byName = new HashMap<>();
            floating.forEach(layer -> byName.put(layer.name(), layer));
            quantized.forEach(q -> {
                accept(q, byOutput.get(q.fileOutput()));
                if (!partners.containsKey(q) && isMatMul(q)) {
                    quantizedLayers.biasAdd(q).ifPresent(a -> accept(q, byOutput.get(a.fileOutput())));
                }
            });
            quantized.forEach(q -> accept(q, byName.get(q.name())));
            byPosition();
            List<LayerPair> pairs = new ArrayList<>();
            List<SkippedLayer> skipped = new ArrayList<>(notLayers);
            for (Layer q : quantized) {
                Optional<LayerPair> pair = Optional.ofNullable(partners.get(q)).flatMap(f -> complete(q, f));
                pair.ifPresentOrElse(
                        pairs::add,
                        () -> skipped.add(new SkippedLayer(
                                q.name(),
                                q.fileOutput(),
                                q.op().type(),
                                q.channels(),
                                reasons.getOrDefault(q, "no layer of the float model pairs with it"))));
            }
            return new Pairing(pairs, skipped);
        }

        private static boolean isMatMul(Layer layer) {
            return layer.op().type().equals("MatMul");
        }

        private static String kind(Layer layer) {
            String own = layer.op().type() + " " + Shape.text(layer.weightShape());
            return layer.first()
                    .map(f -> f.op().type() + " " + Shape.text(f.weightShape()) + " and " + own)
                    .orElse(own);
        }

        /** Makes a pair if the two can be one: both free, same op, same weight shape. */
        private void accept(Layer q, Layer f) {
            if (f == null || partners.containsKey(q) || partners.containsValue(f)) {
                return;
            }
            if (kind(q).equals(kind(f))) {
                partners.put(q, f);
            } else {
                reasons.put(q, "the float model's layer of that name is " + kind(f) + ", here it is " + kind(q));
            }
        }

        private void byPosition() {
            Map<String, List<Layer>> left = new LinkedHashMap<>();
            quantized.stream().filter(q -> !partners.containsKey(q)).forEach(q -> left.computeIfAbsent(
                            kind(q), k -> new ArrayList<>())
                    .add(q));
            left.forEach((kind, qs) -> {
                List<Layer> fs = floating.stream()
                        .filter(f -> !partners.containsValue(f) && kind(f).equals(kind))
                        .toList();
                if (fs.size() == qs.size()) {
                    for (int i = 0; i < qs.size(); i++) {
                        partners.put(qs.get(i), fs.get(i));
                    }
                } else {
                    qs.forEach(q -> reasons.putIfAbsent(
                            q,
                            "no name pairs it, and of layers " + kind + " there are " + qs.size() + " left here but "
                                    + fs.size() + " in the float model"));
                }
            });
        }

        /** The pair with the Adds and BatchNormalizations that belong to it, or empty (with a reason noted) where the two don't compute the same. */
        private Optional<LayerPair> complete(Layer q, Layer f) {
            LayerOp op = q.op();
            if (!op.equals(f.op())) {
                reasons.put(q, "its attributes differ from the float model's: " + op + " here, " + f.op() + " there");
                return Optional.empty();
            }
            Optional<Convolution> first = q.first().map(Layer.First::op);
            if (!first.equals(f.first().map(Layer.First::op))) {
                reasons.put(q, "the attributes of its first half differ from the float model's");
                return Optional.empty();
            }
            if (isMatMul(q)) {
                Optional<Node> add = quantizedLayers.biasAdd(q);
                boolean inserted =
                        add.filter(a -> a.name().endsWith(Layers.INSERTED_ADD)).isPresent();
                Layer whole = add.map(a -> quantizedLayers.withBias(q, a)).orElse(q);
                boolean later = (add.isEmpty() || inserted) && quantizedLayers.biasFollowsQuantiser(whole);
                Layer reference = floatLayers
                        .biasAdd(f)
                        .filter(a -> !later)
                        .map(a -> floatLayers.withBias(f, a))
                        .orElse(f);
                return Optional.of(new LayerPair(whole, reference));
            }
            Optional<Node> floatNorm = floatLayers.batchNormalization(f);
            Optional<Node> quantizedNorm = quantizedLayers.keptBatchNormalization(q);
            if (quantizedNorm.isPresent() && floatNorm.isEmpty()) {
                reasons.put(
                        q,
                        "the quantised model keeps a BatchNormalization behind it that the float model has folded or lacks: "
                                + "give the float model that it was quantised from");
                return Optional.empty();
            }
            Layer reference = floatNorm
                    .filter(bn -> quantizedNorm.isEmpty())
                    .map(bn -> floatLayers.folded(f, bn))
                    .orElse(f);
            return Optional.of(new LayerPair(q, reference));
        }
    }
}
