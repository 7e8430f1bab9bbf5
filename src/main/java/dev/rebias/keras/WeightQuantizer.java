package dev.rebias.keras;

import com.fasterxml.jackson.databind.JsonNode;
import dev.rebias.error.UnsupportedException;
import java.util.List;
import java.util.Optional;

/**
 * How one of cnn2snn's layers quantises its float weights W on every call: {@code q(W) = clip(round(W sf), -kmax, kmax)
 * / sf}, all in float32, rounding half to even, with {@code kmax = 2^(bitwidth - 1) - 1}. The scale factor sf is kmax
 * divided by the weights' reach: for StdWeightQuantizer and TrainableStdWeightQuantizer {@code threshold * std(W)}
 * (population standard deviation), for MaxQuantizer {@code max |W|}, for MaxPerAxisQuantizer the same for each index of
 * the last axis; ScaleFactorQuantizer is given it. Weights without any reach stay zero.
 */
final class WeightQuantizer {
    /** Up to this, float32 holds every step. */
    private static final int MOST_BITS = 24;

    private enum Reach {
        STD,
        MAX,
        MAX_PER_AXIS,
        GIVEN
    }

    private final Reach reach;
    private final int bitwidth;
    private final float threshold;
    private final float[] scaleFactors;

    private WeightQuantizer(Reach reach, int bitwidth, float threshold, float[] scaleFactors) {
        this.reach = reach;
        this.bitwidth = bitwidth;
        this.threshold = threshold;
        this.scaleFactors = scaleFactors;
    }

    /**
     * Quantised weights.
     *
     * @param values what the layer multiplies by, row-major
     * @param steps the same as integers of -kmax to kmax
     * @param scaleFactors sf, one for all or one for each index of the last axis; infinite where the weights have no
     *     reach
     */
    record Quantized(float[] values, int[] steps, float[] scaleFactors) {}

    /**
     * The quantiser that a layer's configuration names.
     *
     * @param key {@code quantizer} or {@code quantizer_dw}
     * @param trained the threshold of a TrainableStdWeightQuantizer, if the file stores one
     */
    static WeightQuantizer of(KerasLayer layer, String key, Optional<KerasWeight> trained) {
        JsonNode stored = layer.find(key)
                .filter(JsonNode::isObject)
                .orElseThrow(() -> layer.unsupported("has no '" + key + "': its weights' quantiser is unknown"));
        String className = stored.path("class_name").asText();
        className = className.substring(className.lastIndexOf('>') + 1);
        KerasLayer own = new KerasLayer(
                layer.file(), layer.name(), layer.className(), stored.path("config"), List.of(), List.of());
        Reach reach =
                switch (className) {
                    case "StdWeightQuantizer", "TrainableStdWeightQuantizer" -> Reach.STD;
                    case "MaxQuantizer" -> Reach.MAX;
                    case "MaxPerAxisQuantizer" -> Reach.MAX_PER_AXIS;
                    case "ScaleFactorQuantizer" -> Reach.GIVEN;
                    default ->
                        throw layer.unsupported("has the " + key + " '" + className
                                + "', which rebias does not know: it knows StdWeightQuantizer, "
                                + "TrainableStdWeightQuantizer, MaxQuantizer, MaxPerAxisQuantizer "
                                + "and ScaleFactorQuantizer");
                };
        int bitwidth = own.integer("bitwidth");
        if (bitwidth < 2 || bitwidth > MOST_BITS) {
            throw layer.unsupported("has a " + key + " of " + bitwidth + " bits, possible are 2 to " + MOST_BITS);
        }
        float threshold = 0;
        if (reach == Reach.STD) {
            threshold = className.startsWith("Trainable")
                    ? threshold(layer, key, trained)
                    : (float) own.real("threshold", 3);
            if (!(threshold > 0 && Float.isFinite(threshold))) {
                throw layer.unsupported(
                        "has a " + key + " with the threshold " + threshold + ", which must be above 0");
            }
        }
        return new WeightQuantizer(
                reach, bitwidth, threshold, reach == Reach.GIVEN ? scaleFactors(own, key) : new float[0]);
    }

    private static float threshold(KerasLayer layer, String key, Optional<KerasWeight> trained) {
        KerasWeight weight = trained.orElseThrow(() -> layer.unsupported(
                "has a " + key + " with a trained threshold, but rebias finds none stored among the layer's weights"));
        if (weight.values().length != 1) {
            throw layer.unsupported("has the weight '" + weight.path() + "' of " + weight.values().length
                    + " values, where the threshold of its " + key + " is wanted");
        }
        return weight.values()[0];
    }

    /** Whether a layer's quantiser has a weight of its own. */
    static boolean isTrained(KerasLayer layer, String key) {
        return layer.find(key)
                .map(q -> q.path("class_name").asText())
                .filter(name -> name.endsWith("TrainableStdWeightQuantizer"))
                .isPresent();
    }

    private static float[] scaleFactors(KerasLayer layer, String key) {
        JsonNode stored = layer.find("scale_factors")
                .orElseThrow(() -> layer.unsupported("has a " + key + " without scale_factors"));
        // numpy values are written as {"type"|"class_name": .., "value": ..} by some versions.
        JsonNode given = stored.isObject() && stored.has("value") ? stored.get("value") : stored;
        float[] factors = new float[given.isNumber() ? 1 : given.size()];
        for (int i = 0; i < factors.length; i++) {
            JsonNode value = given.isNumber() ? given : given.get(i);
            factors[i] = (float) value.asDouble(Double.NaN);
            if (!(factors[i] > 0 && Float.isFinite(factors[i]))) {
                throw layer.unsupported("has a " + key + " with the scale factor " + value + ", which must be above 0");
            }
        }
        if (factors.length == 0) {
            throw layer.unsupported("has a " + key + " without scale_factors");
        }
        return factors;
    }

    /**
     * Quantises.
     *
     * @param layer the layer the weights belong to, for messages
     * @throws UnsupportedException if there are other scale factors than the weights have filters
     */
    Quantized quantize(KerasLayer layer, KerasWeight weights) {
        float[] w = weights.values();
        long[] shape = weights.shape();
        int filters = Math.toIntExact(shape[shape.length - 1]);
        float kmax = (1 << (bitwidth - 1)) - 1;
        float[] sf =
                switch (reach) {
                    case STD -> new float[] {kmax / (threshold * std(w))};
                    case MAX -> new float[] {kmax / reach(w, 1)[0]};
                    case MAX_PER_AXIS -> divided(kmax, reach(w, filters));
                    case GIVEN -> scaleFactors.clone();
                };
        if (sf.length != 1 && sf.length != filters) {
            throw layer.unsupported("has a quantizer with " + sf.length + " scale factors for " + filters + " filters");
        }
        float[] values = new float[w.length];
        int[] steps = new int[w.length];
        for (int i = 0; i < w.length; i++) {
            float factor = sf[i % sf.length];
            if (Float.isFinite(factor)) {
                float rounded = (float) Math.rint(w[i] * factor);
                float clipped = Math.max(-kmax, Math.min(kmax, rounded));
                steps[i] = (int) clipped;
                values[i] = clipped / factor;
            }
        }
        return new Quantized(values, steps, sf);
    }

    private static float std(float[] w) {
        double mean = 0;
        for (float v : w) {
            mean += v;
        }
        mean /= w.length;
        double squares = 0;
        for (float v : w) {
            squares += (v - mean) * (v - mean);
        }
        return (float) Math.sqrt(squares / w.length);
    }

    private static float[] reach(float[] w, int filters) {
        float[] reach = new float[filters];
        for (int i = 0; i < w.length; i++) {
            reach[i % filters] = Math.max(reach[i % filters], Math.abs(w[i]));
        }
        return reach;
    }

    private static float[] divided(float kmax, float[] reach) {
        float[] out = reach.clone();
        for (int i = 0; i < out.length; i++) {
            out[i] = kmax / reach[i];
        }
        return out;
    }
}
