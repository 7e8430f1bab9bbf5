package dev.rebias.keras;

import com.fasterxml.jackson.databind.JsonNode;
import dev.rebias.op.Attributes;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/** Layers that scale and shift by constants: Rescaling, Normalization, BatchNormalization. */
final class Normalizations {
    private final GraphWriter graph;

    Normalizations(GraphWriter graph) {
        this.graph = graph;
    }

    /**
     * A constant with one value per channel, so shaped that it broadcasts along the channels of x; or one value for
     * all.
     */
    private String perChannel(String name, float[] constant, Value x) {
        boolean spread = x.isImage() && constant.length > 1;
        return graph.constant(
                name,
                spread ? HostTensor.of(constant, constant.length, 1, 1) : HostTensor.of(constant, constant.length));
    }

    private float[] numbers(KerasLayer layer, String key, float otherwise, Value x) {
        if (layer.find(key).filter(v -> v.isArray()).isEmpty()) {
            return new float[] {(float) layer.real(key, otherwise)};
        }
        List<Float> values = new ArrayList<>();
        flat(layer.find(key).orElseThrow(), values);
        if (values.size() != x.channels() && values.size() != 1) {
            throw layer.unsupported(
                    "has " + values.size() + " values of '" + key + "' for " + x.channels() + " channels");
        }
        float[] out = new float[values.size()];
        for (int i = 0; i < out.length; i++) {
            out[i] = values.get(i);
            if (!Float.isFinite(out[i])) {
                throw layer.unsupported("has '" + key + "' with something that is not a number");
            }
        }
        return out;
    }

    private static void flat(JsonNode node, List<Float> values) {
        if (node.isArray()) {
            node.forEach(n -> flat(n, values));
        } else {
            values.add((float) node.asDouble(Double.NaN));
        }
    }

    /** Whether a Rescaling has a value for each channel. */
    static boolean scalesChannels(KerasLayer layer) {
        return Stream.of("scale", "offset")
                .anyMatch(key -> layer.find(key).filter(JsonNode::isArray).isPresent());
    }

    /** x scale + offset. */
    Value rescaling(KerasLayer layer, Value x) {
        String name = layer.name();
        float[] offset = numbers(layer, "offset", 0, x);
        String scale = perChannel(name + "/scale", numbers(layer, "scale", 1, x), x);
        boolean shifts = offset.length > 1 || offset[0] != 0;
        String scaled = graph.node("Mul", shifts ? name + "/scaled" : name, List.of(x.tensor(), scale));
        if (shifts) {
            graph.node("Add", name, List.of(scaled, perChannel(name + "/offset", offset, x)));
        }
        return x.as(name);
    }

    /** (x - mean) / max(sqrt(variance), epsilon), Keras' epsilon being 1e-7; or its inverse. */
    Value normalization(KerasLayer layer, Value x) {
        long[] axes = layer.find("axis").map(KerasLayer::integers).orElse(new long[0]);
        boolean last = axes.length == 1 && (axes[0] == -1 || axes[0] == x.shape().length);
        if (!last && axes.length > 0) {
            throw layer.unsupported("normalises along axis "
                    + layer.find("axis").orElseThrow() + "; rebias reads the last axis, or all");
        }
        long channels = last ? x.channels() : 1;
        layer.checkWeights(3);
        float[] mean = statistic(layer, "mean", 0, channels, x);
        float[] deviation = statistic(layer, "variance", 1, channels, x);
        for (int i = 0; i < deviation.length; i++) {
            deviation[i] = Math.max((float) Math.sqrt(deviation[i]), 1e-7f);
        }
        String m = perChannel(layer.name() + "/mean", mean, x);
        String d = perChannel(layer.name() + "/deviation", deviation, x);
        if (layer.flag("invert", false)) {
            String spread = graph.node("Mul", layer.name() + "/spread", List.of(x.tensor(), d));
            graph.node("Add", layer.name(), List.of(spread, m));
        } else {
            String centred = graph.node("Sub", layer.name() + "/centred", List.of(x.tensor(), m));
            graph.node("Div", layer.name(), List.of(centred, d));
        }
        return x.as(layer.name());
    }

    /** A statistic that the configuration gives, or else the weights: [channels], or with axes of length 1 around. */
    private float[] statistic(KerasLayer layer, String key, int index, long channels, Value x) {
        if (layer.find(key).isPresent()) {
            return numbers(layer, key, 0, x);
        }
        long[] shape =
                layer.weights().size() > index ? layer.weights().get(index).shape() : new long[] {channels};
        long product = LongStream.of(shape).reduce(1, (a, b) -> a * b);
        if (product != channels) {
            throw layer.unsupported("has a " + key + " of " + product + " values for " + channels + " channels");
        }
        return layer.weight(index, key, shape).values().clone();
    }

    /** gamma (x - mean) / sqrt(variance + epsilon) + beta, with the moving statistics. */
    Value batchNormalization(KerasLayer layer, Value x) {
        long[] axis = layer.find("axis").map(KerasLayer::integers).orElse(new long[] {-1});
        int rank = x.shape().length + 1;
        if (axis.length != 1 || (axis[0] != -1 && axis[0] != rank - 1) || rank == 3) {
            throw layer.unsupported("normalises along axis "
                    + layer.find("axis").map(Object::toString).orElse("-1") + " of " + x.text()
                    + "; rebias reads the last axis of images and vectors");
        }
        String name = layer.name();
        long channels = x.channels();
        layer.checkWeights(2 + (layer.flag("scale", true) ? 1 : 0) + (layer.flag("center", true) ? 1 : 0));
        List<String> inputs = new ArrayList<>(List.of(x.tensor()));
        int next = 0;
        for (String role : List.of("gamma", "beta", "moving_mean", "moving_variance")) {
            boolean stored = role.equals("gamma")
                    ? layer.flag("scale", true)
                    : !role.equals("beta") || layer.flag("center", true);
            float[] constant = new float[Math.toIntExact(channels)];
            if (stored) {
                constant = layer.weight(next++, role, channels).values();
            } else if (role.equals("gamma")) {
                Arrays.fill(constant, 1);
            }
            inputs.add(graph.constant(name + "/" + role, HostTensor.of(constant, channels)));
        }
        graph.node("BatchNormalization", name, inputs, Attributes.of("epsilon", (float) layer.real("epsilon", 1e-3)));
        return x.as(name);
    }
}
