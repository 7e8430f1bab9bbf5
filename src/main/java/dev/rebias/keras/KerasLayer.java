package dev.rebias.keras;

import com.fasterxml.jackson.databind.JsonNode;
import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.Shape;
import java.util.List;
import java.util.Optional;

/**
 * A layer of a Keras model as its file describes it. The accessors read the layer's configuration; what is missing or
 * of another kind than Keras writes is an {@link UnsupportedException} that names layer, key and file.
 *
 * @param file the file, for messages
 * @param name the layer's name, which is also its output's
 * @param className without the package that Keras may put before it ({@code package>Class})
 * @param config the layer's configuration
 * @param inputs the names of the layers whose outputs it takes, in order
 * @param weights in the order that the file states
 */
record KerasLayer(
        String file, String name, String className, JsonNode config, List<String> inputs, List<KerasWeight> weights) {
    KerasLayer {
        inputs = List.copyOf(inputs);
        weights = List.copyOf(weights);
    }

    KerasLayer withWeights(List<KerasWeight> read) {
        return new KerasLayer(file, name, className, config, inputs, read);
    }

    /** What messages call it. */
    String text() {
        return "layer '" + name + "' (" + className + ") of '" + file + "'";
    }

    UnsupportedException unsupported(String what) {
        return new UnsupportedException(text() + " " + what);
    }

    /** The value of a key, if it is there and not null. */
    Optional<JsonNode> find(String key) {
        return Optional.ofNullable(config.get(key)).filter(v -> !v.isNull());
    }

    private UnsupportedException wrong(String key, String wanted) {
        String found = find(key).map(JsonNode::toString).orElse("not given");
        String shown = found.length() > 60 ? found.substring(0, 60) + ".." : found;
        return unsupported("has '" + key + "' " + shown + ", where " + wanted
                + " is wanted: it was saved by another program, or damaged");
    }

    int integer(String key) {
        return find(key)
                .filter(v -> v.canConvertToInt() && v.canConvertToExactIntegral())
                .map(JsonNode::intValue)
                .orElseThrow(() -> wrong(key, "an integer"));
    }

    /** An integer of at least 1. */
    int positive(String key) {
        int value = integer(key);
        if (value < 1) {
            throw wrong(key, "an integer of 1 or more");
        }
        return value;
    }

    int integer(String key, int otherwise) {
        return find(key).isPresent() ? integer(key) : otherwise;
    }

    double real(String key, double otherwise) {
        if (find(key).isEmpty()) {
            return otherwise;
        }
        return find(key)
                .filter(JsonNode::isNumber)
                .map(JsonNode::doubleValue)
                .orElseThrow(() -> wrong(key, "a number"));
    }

    boolean flag(String key, boolean otherwise) {
        if (find(key).isEmpty()) {
            return otherwise;
        }
        return find(key)
                .filter(JsonNode::isBoolean)
                .map(JsonNode::booleanValue)
                .orElseThrow(() -> wrong(key, "true or false"));
    }

    String text(String key, String otherwise) {
        if (find(key).isEmpty()) {
            return otherwise;
        }
        return find(key).filter(JsonNode::isTextual).map(JsonNode::textValue).orElseThrow(() -> wrong(key, "a text"));
    }

    /** A value for height and one for width, each of 1 or more; a single number stands for both. */
    long[] pair(String key, long... otherwise) {
        Optional<JsonNode> value = find(key);
        if (value.isEmpty() && otherwise.length == 2) {
            return otherwise.clone();
        }
        long[] pair = value.map(KerasLayer::integers)
                .map(v -> v.length == 1 ? new long[] {v[0], v[0]} : v)
                .orElseThrow(() -> wrong(key, "one or two integers"));
        if (pair.length != 2 || pair[0] < 1 || pair[1] < 1) {
            throw wrong(key, "one or two integers of 1 or more");
        }
        return pair;
    }

    /** The integers of a number or a list of numbers; none where it is something else. */
    static long[] integers(JsonNode value) {
        if (value.isIntegralNumber()) {
            return new long[] {value.longValue()};
        }
        long[] out = new long[value.size()];
        for (int i = 0; i < out.length; i++) {
            if (!value.get(i).isIntegralNumber()) {
                return new long[0];
            }
            out[i] = value.get(i).longValue();
        }
        return out;
    }

    /**
     * The weight at that position, after a check of its shape.
     *
     * @param shape what it must be; -1 where any size will do
     */
    KerasWeight weight(int index, String role, long... shape) {
        if (weights.size() <= index) {
            throw unsupported("has " + weights.size() + " weights in the file, its " + role + " (number " + (index + 1)
                    + ") is missing: save the whole model again");
        }
        KerasWeight weight = weights.get(index);
        long[] found = weight.shape();
        boolean fits = found.length == shape.length;
        for (int i = 0; fits && i < shape.length; i++) {
            fits = shape[i] < 0 ? found[i] > 0 : found[i] == shape[i];
        }
        if (!fits) {
            throw unsupported("has a " + role + " of shape " + Shape.text(found) + ", but its configuration wants "
                    + Shape.text(shape) + ": weights and configuration do not belong together");
        }
        for (float v : weight.values()) {
            if (!Float.isFinite(v)) {
                throw unsupported("has a " + role + " with the value " + v + ": weights must be finite numbers");
            }
        }
        return weight;
    }

    /**
     * Checks that there are no more weights than those that are used: a variant of the layer may compute something else
     * with them.
     */
    void checkWeights(int known) {
        if (weights.size() > known) {
            throw unsupported(
                    "stores " + weights.size() + " weights, of which rebias knows " + known + "; the others are "
                            + weights.subList(known, weights.size()).stream()
                                    .map(KerasWeight::path)
                                    .toList());
        }
    }

    /** Checks that it computes in float32. */
    void checkArithmetic() {
        String policy = find("dtype")
                .map(d -> d.isTextual()
                        ? d.asText()
                        : d.path("config").path("name").asText())
                .orElse("");
        if (policy.contains("float16") || policy.contains("float64")) {
            throw unsupported("computes in " + policy + "; rebias reads models of float32");
        }
    }

    /** Whether it is one of cnn2snn's layers with weights that it quantises on every call. */
    boolean isQuantized() {
        return List.of("QuantizedConv2D", "QuantizedSeparableConv2D", "QuantizedDense")
                .contains(className);
    }

    /** The position of the bias among its weights: behind the kernels. */
    int biasIndex() {
        return className.endsWith("SeparableConv2D") ? 2 : 1;
    }

    boolean usesBias() {
        return flag("use_bias", true);
    }
}
