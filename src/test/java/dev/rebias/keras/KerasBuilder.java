package dev.rebias.keras;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.jhdf.HdfFile;
import io.jhdf.WritableHdfFile;
import io.jhdf.api.WritableGroup;
import java.io.IOException;
import java.lang.reflect.Array;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/** Puts together small Keras models for tests, and writes them as .keras archives. */
final class KerasBuilder {
    private static final ObjectMapper JSON = JsonMapper.builder()
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .disable(JsonWriteFeature.WRITE_NAN_AS_STRINGS)
            .build();

    /** How a functional model's configuration tells where a layer's inputs come from. */
    enum Inbound {
        /** No such thing: a Sequential model. */
        SEQUENTIAL,
        KERAS_2,
        KERAS_3
    }

    /** A weight: its shape, and its values row-major. */
    record Weight(long[] shape, float[] values) {}

    private record Layer(String name, String className, ObjectNode config, List<String> inputs, List<Weight> weights) {}

    private final Inbound inbound;
    private final List<Layer> layers = new ArrayList<>();

    KerasBuilder(Inbound inbound, long... inputShape) {
        this.inbound = inbound;
        ObjectNode config = JSON.createObjectNode();
        ArrayNode shape = config.putArray("batch_shape").addNull();
        for (long d : inputShape) {
            if (d < 0) {
                shape.addNull();
            } else {
                shape.add(d);
            }
        }
        layers.add(new Layer("in", "InputLayer", config.put("name", "in"), List.of(), List.of()));
    }

    /** The name of the layer that was added last. */
    String last() {
        return layers.get(layers.size() - 1).name();
    }

    /**
     * Adds a layer.
     *
     * @param json its configuration without the name, single quotes for double ones
     */
    KerasBuilder add(String name, String className, String json, List<String> inputs, Weight... weights) {
        try {
            ObjectNode config = (ObjectNode) JSON.readTree(json.replace('\'', '"'));
            layers.add(new Layer(name, className, config.put("name", name), inputs, List.of(weights)));
            return this;
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException(json, e);
        }
    }

    /** Adds a layer behind the last one. */
    KerasBuilder add(String name, String className, String json, Weight... weights) {
        return add(name, className, json, List.of(last()), weights);
    }

    private ObjectNode model() {
        ObjectNode model = JSON.createObjectNode();
        model.put("class_name", inbound == Inbound.SEQUENTIAL ? "Sequential" : "Functional");
        ObjectNode config = model.putObject("config").put("name", "model");
        ArrayNode listed = config.putArray("layers");
        for (Layer layer : layers) {
            ObjectNode node =
                    listed.addObject().put("class_name", layer.className()).put("name", layer.name());
            node.set("config", layer.config());
            if (inbound == Inbound.KERAS_2) {
                ArrayNode calls = node.putArray("inbound_nodes");
                if (!layer.inputs().isEmpty()) {
                    ArrayNode sources = calls.addArray();
                    layer.inputs()
                            .forEach(
                                    i -> sources.addArray().add(i).add(0).add(0).addObject());
                }
            } else if (inbound == Inbound.KERAS_3) {
                ArrayNode calls = node.putArray("inbound_nodes");
                if (!layer.inputs().isEmpty()) {
                    ArrayNode arguments = calls.addObject().putArray("args");
                    ArrayNode sources = layer.inputs().size() > 1 ? arguments.addArray() : arguments;
                    layer.inputs().forEach(i -> sources.addObject()
                            .put("class_name", "__keras_tensor__")
                            .putObject("config")
                            .putArray("keras_history")
                            .add(i)
                            .add(0)
                            .add(0));
                }
            }
        }
        if (inbound != Inbound.SEQUENTIAL) {
            ArrayNode from = config.putArray("input_layers");
            ArrayNode to = config.putArray("output_layers");
            // Keras 3 leaves out the outer list where there is one.
            (inbound == Inbound.KERAS_2 ? from.addArray() : from)
                    .add("in")
                    .add(0)
                    .add(0);
            (inbound == Inbound.KERAS_2 ? to.addArray() : to).add(last()).add(0).add(0);
        }
        return model;
    }

    /** Writes the model, and reads it. */
    KerasModel write(Path folder) throws IOException {
        Path weights = folder.resolve("model.weights.h5");
        Map<String, Integer> perClass = new HashMap<>();
        try (WritableHdfFile file = HdfFile.write(weights)) {
            WritableGroup all = file.putGroup("layers");
            for (Layer layer : layers) {
                int n = perClass.merge(layer.className(), 1, Integer::sum) - 1;
                String name = KerasArchive.snakeCase(layer.className()) + (n == 0 ? "" : "_" + n);
                if (layer.weights().isEmpty()) {
                    continue; // jhdf 0.11 writes files with empty groups that nothing can read
                }
                WritableGroup vars = all.putGroup(name).putGroup("vars");
                for (int i = 0; i < layer.weights().size(); i++) {
                    Weight w = layer.weights().get(i);
                    int[] shape =
                            Arrays.stream(w.shape()).mapToInt(Math::toIntExact).toArray();
                    vars.putDataset(Integer.toString(i), nested(w.values(), shape, 0, new int[] {0}));
                }
            }
        }
        Path archive = folder.resolve("model.keras");
        try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(archive))) {
            zip.putNextEntry(new ZipEntry("config.json"));
            zip.write(JSON.writeValueAsBytes(model()));
            zip.putNextEntry(new ZipEntry("model.weights.h5"));
            zip.write(Files.readAllBytes(weights));
        }
        return KerasModel.read(archive);
    }

    private static Object nested(float[] values, int[] shape, int axis, int[] next) {
        int[] rest = Arrays.copyOfRange(shape, axis, shape.length);
        Object out = Array.newInstance(float.class, rest);
        for (int i = 0; i < shape[axis]; i++) {
            Array.set(out, i, rest.length == 1 ? (Object) values[next[0]++] : nested(values, shape, axis + 1, next));
        }
        return out;
    }
}
