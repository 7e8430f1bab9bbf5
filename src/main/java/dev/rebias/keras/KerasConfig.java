package dev.rebias.keras;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.rebias.error.UnsupportedException;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The configuration of a model, as Keras 2.4 and later write it: a Sequential model, or a functional one with one input
 * and one output.
 *
 * @param layers in an order in which they can run; an InputLayer first
 * @param ordinals for every layer by name, how many of its class come before it in the file
 * @param output the layer whose output is the model's
 */
record KerasConfig(List<KerasLayer> layers, Map<String, Integer> ordinals, String output) {
    /** Python writes NaN and Infinity, which JSON does not know. */
    private static final ObjectMapper JSON = JsonMapper.builder()
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .build();

    /**
     * Reads a configuration.
     *
     * @param file the file it came from, for messages
     * @throws UnsupportedException if it is not JSON, or not of a model that rebias reads
     */
    static KerasConfig parse(String file, String json) {
        JsonNode model;
        try {
            model = JSON.readTree(json);
        } catch (JsonProcessingException e) {
            throw new UnsupportedException(
                    "the model configuration of '" + file + "' is not JSON (" + e.getOriginalMessage()
                            + "): save the model again",
                    e);
        }
        return new Parser(file).parse(model);
    }

    /**
     * A configuration's text in which these layers use a bias; nothing else in it changes.
     *
     * @param json a configuration that {@link #parse} reads
     * @param layers the names of layers whose {@code use_bias} is false
     */
    static String withBiases(String json, Set<String> layers) {
        if (layers.isEmpty()) {
            return json;
        }
        StringBuilder out = new StringBuilder();
        int copied = 0;
        try (JsonParser parser = JSON.createParser(json)) {
            // The configurations that are open around the current token, innermost last: the name that each has given,
            // and where its use_bias is.
            Deque<Map<String, Object>> open = new ArrayDeque<>();
            List<long[]> places = new ArrayList<>();
            for (JsonToken token = parser.nextToken(); token != null; token = parser.nextToken()) {
                switch (token) {
                    case START_OBJECT -> open.push(new HashMap<>());
                    case END_OBJECT -> {
                        Map<String, Object> closed = open.pop();
                        if (closed.containsKey("use_bias") && layers.contains(closed.getOrDefault("name", ""))) {
                            places.add((long[]) closed.get("use_bias"));
                        }
                    }
                    case VALUE_STRING -> {
                        if ("name".equals(parser.currentName())) {
                            open.element().put("name", parser.getText());
                        }
                    }
                    case VALUE_FALSE -> {
                        if ("use_bias".equals(parser.currentName())) {
                            open.element().put("use_bias", new long[] {
                                parser.currentTokenLocation().getCharOffset(),
                                parser.currentLocation().getCharOffset()
                            });
                        }
                    }
                    default -> {
                        // Nothing else matters here.
                    }
                }
            }
            places.sort(Comparator.comparingLong(p -> p[0]));
            for (long[] place : places) {
                out.append(json, copied, (int) place[0]).append("true");
                copied = (int) place[1];
            }
        } catch (IOException e) {
            throw new IllegalArgumentException("a configuration that was read before is no JSON now", e);
        }
        return out.append(json, copied, json.length()).toString();
    }

    private static final class Parser {
        private final String file;
        private final List<KerasLayer> layers = new ArrayList<>();
        private final Map<String, Integer> ordinals = new HashMap<>();
        private final Map<String, Integer> perClass = new HashMap<>();

        Parser(String file) {
            this.file = file;
        }

        private UnsupportedException unsupported(String what) {
            return new UnsupportedException("the model configuration of '" + file + "' " + what);
        }

        KerasConfig parse(JsonNode model) {
            String className = model.path("class_name").asText();
            JsonNode config = model.path("config");
            JsonNode listed = config.path("layers");
            if (!listed.isArray() || listed.isEmpty()) {
                throw unsupported(
                        "has no list config.layers: it is of a version that rebias does not read (Keras 2.4 and "
                                + "later), or damaged");
            }
            String output =
                    switch (className) {
                        case "Sequential" -> sequential(config, listed);
                        case "Functional", "Model" -> functional(config, listed);
                        default ->
                            throw unsupported(
                                    "is of a " + (className.isEmpty() ? "model without class_name" : className)
                                            + "; rebias reads Sequential and functional models");
                    };
            return new KerasConfig(sorted(), ordinals, output);
        }

        private String sequential(JsonNode config, JsonNode listed) {
            String previous = "";
            for (JsonNode layer : listed) {
                if (previous.isEmpty() && !className(layer).equals("InputLayer")) {
                    previous = input(config, layer);
                }
                previous = add(layer, previous.isEmpty() ? List.of() : List.of(previous));
            }
            return previous;
        }

        /**
         * The InputLayer that a Sequential model may leave out, from what its first layer or the model says of shapes.
         */
        private String input(JsonNode config, JsonNode first) {
            JsonNode own = first.path("config");
            JsonNode shape = Optional.ofNullable(own.get("batch_input_shape"))
                    .or(() -> Optional.ofNullable(own.get("batch_shape")))
                    .or(() -> Optional.ofNullable(config.get("build_input_shape")))
                    .orElseThrow(() -> unsupported(
                            "does not tell the shape of the model's input: build the model before saving it"));
            Set<String> taken = new HashSet<>();
            config.path("layers")
                    .forEach(l -> taken.add(l.path("config").path("name").asText()));
            String name = "input";
            for (int i = 1; taken.contains(name); i++) {
                name = "input_" + i;
            }
            JsonNode made = JSON.createObjectNode()
                    .put("class_name", "InputLayer")
                    .set("config", JSON.createObjectNode().put("name", name).set("batch_shape", shape));
            return add(made, List.of());
        }

        private String functional(JsonNode config, JsonNode listed) {
            for (JsonNode layer : listed) {
                JsonNode calls = layer.path("inbound_nodes");
                if (calls.size() > 1) {
                    throw unsupported("uses layer '" + name(layer) + "' " + calls.size()
                            + " times; rebias corrects layers that are used once");
                }
                List<String> inputs = new ArrayList<>();
                if (calls.size() == 1) {
                    inbound(calls.get(0), inputs);
                    if (trains(calls.get(0))) {
                        throw unsupported("calls layer '" + name(layer)
                                + "' with training=True, so that it works as in training; rebias reads "
                                + "models as they infer");
                    }
                }
                add(layer, inputs);
            }
            List<String> outputs = new ArrayList<>();
            inbound(config.path("output_layers"), outputs);
            List<String> starts = new ArrayList<>();
            inbound(config.path("input_layers"), starts);
            if (outputs.size() != 1 || starts.size() != 1) {
                throw unsupported("has " + starts.size() + " inputs and " + outputs.size()
                        + " outputs; rebias reads Keras models with one of each");
            }
            for (String name : List.of(outputs.get(0), starts.get(0))) {
                if (!ordinals.containsKey(name)) {
                    throw unsupported(
                            "names '" + name + "' as an input or output, but has no such layer: it is damaged");
                }
            }
            return outputs.get(0);
        }

        /** Whether a call's arguments say that it is one of training. */
        private static boolean trains(JsonNode call) {
            return call.findValues("training").stream().anyMatch(v -> v.isBoolean() && v.booleanValue());
        }

        /**
         * The layers that a node of the configuration names as sources: [name, node, tensor, ..] in Keras 2, and in
         * Keras 3 {@code {"class_name": "__keras_tensor__", "config": {"keras_history": [name, node, tensor]}}}
         * anywhere in the call's arguments.
         */
        private static void inbound(JsonNode node, List<String> names) {
            if (node.isArray()
                    && node.size() >= 3
                    && node.get(0).isTextual()
                    && node.get(1).isIntegralNumber()) {
                names.add(node.get(0).asText());
            } else if (node.isObject() && node.path("class_name").asText().equals("__keras_tensor__")) {
                inbound(node.path("config").path("keras_history"), names);
            } else if (node.isContainerNode()) {
                node.forEach(n -> inbound(n, names));
            }
        }

        private String add(JsonNode layer, List<String> inputs) {
            String name = name(layer);
            String className = className(layer);
            if (className.isEmpty() || !layer.path("config").isObject()) {
                throw unsupported("has layer '" + name + "' without class_name or config: it is damaged");
            }
            if (ordinals.containsKey(name)) {
                throw unsupported("has two layers named '" + name + "': names must differ");
            }
            ordinals.put(name, perClass.merge(className, 1, Integer::sum) - 1);
            layers.add(new KerasLayer(file, name, className, layer.path("config"), inputs, List.of()));
            return name;
        }

        private String name(JsonNode layer) {
            String name = layer.path("config").path("name").asText();
            if (name.isEmpty()) {
                throw unsupported("has a layer without a name (number " + (layers.size() + 1) + "): it is damaged");
            }
            return name;
        }

        private static String className(JsonNode layer) {
            String name = layer.path("class_name").asText();
            return name.substring(name.lastIndexOf('>') + 1);
        }

        /** The layers, each behind those whose outputs it takes. */
        private List<KerasLayer> sorted() {
            List<KerasLayer> sorted = new ArrayList<>();
            Set<String> done = new HashSet<>();
            List<KerasLayer> left = new ArrayList<>(layers);
            while (!left.isEmpty()) {
                List<KerasLayer> ready =
                        left.stream().filter(l -> done.containsAll(l.inputs())).toList();
                if (ready.isEmpty()) {
                    throw unsupported("has layer '" + left.get(0).name() + "' with inputs "
                            + left.get(0).inputs() + ", which no layer before it makes");
                }
                ready.forEach(l -> done.add(l.name()));
                sorted.addAll(ready);
                left.removeAll(ready);
            }
            return sorted;
        }
    }
}
