package dev.rebias.keras;

import ai.onnx.proto.OnnxMl.AttributeProto;
import dev.rebias.error.UnsupportedException;
import dev.rebias.model.ModelHints;
import dev.rebias.model.OnnxModel;
import dev.rebias.op.Attributes;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.LongStream;

/**
 * Turns a Keras model into an ONNX model. Images are brought from Keras' [height, width, channels] into ONNX's
 * [channels, height, width] once, at the input, and stay so: a flattened image keeps its elements in that order too,
 * and the kernel that it meets is reordered instead. Every layer's output has the layer's name.
 */
final class KerasNetwork {
    /** What the ONNX model is for. */
    enum Form {
        /** The model as it computes: weights are the quantised values, activations are quantised as cnn2snn does it. */
        QUANTIZED,
        /** The same with the stored, float weights. */
        FLOAT,
        /** For other tools: weights and activations behind QuantizeLinear and DequantizeLinear. */
        QDQ
    }

    private static final Set<String> WITH_WEIGHTS = Set.of(
            "Conv2D",
            "QuantizedConv2D",
            "DepthwiseConv2D",
            "SeparableConv2D",
            "QuantizedSeparableConv2D",
            "Dense",
            "QuantizedDense",
            "Normalization",
            "BatchNormalization");

    private final KerasConfig config;
    private final Form form;
    private final GraphWriter graph;
    private final WeightedLayers weighted;
    private final Activations activations;
    private final Normalizations normalizations;
    private final Map<String, Value> values = new HashMap<>();

    private KerasNetwork(String name, KerasConfig config, Form form, Map<String, float[]> biases) {
        this.config = config;
        this.form = form;
        this.graph = new GraphWriter(name);
        this.weighted = new WeightedLayers(graph, form, biases);
        this.activations = new Activations(graph);
        this.normalizations = new Normalizations(graph);
    }

    /**
     * Makes the ONNX model.
     *
     * @param name what messages call the model
     * @param config the layers, with their weights
     * @param biases the biases of layers, by name, that take the place of the stored ones
     * @throws UnsupportedException if there is a layer that rebias does not know, or one whose configuration and
     *     weights do not fit
     */
    static OnnxModel of(String name, KerasConfig config, Form form, Map<String, float[]> biases) {
        return new KerasNetwork(name, config, form, biases).build(name);
    }

    private OnnxModel build(String name) {
        for (KerasLayer layer : config.layers()) {
            List<Value> inputs = layer.inputs().stream().map(values::get).toList();
            boolean merges =
                    layer.className().equals("Add") || layer.className().equals("Concatenate");
            int wanted = layer.className().equals("InputLayer") ? 0 : 1;
            if (merges ? inputs.size() < 2 : inputs.size() != wanted) {
                throw layer.unsupported("takes " + inputs.size() + " inputs");
            }
            values.put(
                    layer.name(),
                    merges ? merged(layer, inputs) : inputs.isEmpty() ? input(layer) : one(layer, inputs.get(0)));
        }
        Value output = asKeras(values.get(config.output()), config.output() + "/channels_last");
        graph.output(output.tensor(), output.shape());
        ModelHints hints = new ModelHints(weighted.joinedToNext(), weighted.notLayers(), true);
        return OnnxModel.of(name, graph.model(), hints);
    }

    private Value input(KerasLayer layer) {
        long[] shape = layer.find("batch_shape")
                .or(() -> layer.find("batch_input_shape"))
                .map(batch -> LongStream.range(1, batch.size())
                        .map(i -> batch.get((int) i).isNull()
                                ? -1
                                : batch.get((int) i).asLong(0))
                        .toArray())
                .orElseThrow(() -> layer.unsupported("has no batch_shape: build the model before saving it"));
        boolean possible = (shape.length == 1 || shape.length == 3)
                && shape[shape.length - 1] > 0
                && LongStream.of(shape).allMatch(d -> d == -1 || (d > 0 && d < Integer.MAX_VALUE));
        if (!possible) {
            throw layer.unsupported("has the shape " + Shape.text(shape)
                    + " per sample; rebias reads models of images, [height, width, channels], and of vectors");
        }
        String tensor = graph.input(layer.name(), shape);
        if (shape.length == 1) {
            return Value.keras(tensor, shape);
        }
        return Value.image(channelsFirst(tensor, layer.name() + "/channels_first"), shape);
    }

    private String channelsFirst(String tensor, String output) {
        return graph.node("Transpose", output, List.of(tensor), Attributes.of("perm", List.of(0L, 3L, 1L, 2L)));
    }

    /** A tensor in Keras' order of elements. */
    private Value asKeras(Value x, String output) {
        return switch (x.order()) {
            case KERAS -> x;
            case CHANNELS_FIRST ->
                Value.keras(channelsLast(x.tensor(), output), x.shape()).inSteps(x.step());
            case FLATTENED -> {
                long[] image = x.flattened();
                String folded = reshaped(x.tensor(), output + "/image", image[2], image[0], image[1]);
                String turned = channelsLast(folded, output + "/channels_last");
                yield Value.keras(reshaped(turned, output, x.shape()), x.shape())
                        .inSteps(x.step());
            }
        };
    }

    private String channelsLast(String tensor, String output) {
        return graph.node("Transpose", output, List.of(tensor), Attributes.of("perm", List.of(0L, 2L, 3L, 1L)));
    }

    /** Reshapes each sample. */
    private String reshaped(String tensor, String output, long... shape) {
        long[] target =
                LongStream.concat(LongStream.of(0), LongStream.of(shape)).toArray();
        String wanted = graph.constant(output + "/shape", HostTensor.of(target, target.length));
        return graph.node("Reshape", output, List.of(tensor, wanted));
    }

    private Value one(KerasLayer layer, Value x) {
        layer.checkArithmetic();
        if (!WITH_WEIGHTS.contains(layer.className())) {
            layer.checkWeights(0);
        }
        return switch (layer.className()) {
            case "Conv2D", "QuantizedConv2D" -> weighted.convolution(layer, x);
            case "DepthwiseConv2D" -> weighted.depthwise(layer, x);
            case "SeparableConv2D", "QuantizedSeparableConv2D" -> weighted.separable(layer, x);
            case "Dense", "QuantizedDense" -> weighted.dense(layer, x);
            case "ReLU" -> activations.relu(layer, x);
            case "Activation" -> activations.named(layer, x);
            case "Softmax" -> activations.softmax(layer, inOrder(layer, x));
            case "QuantizedReLU", "QuantizedActivation", "ActivationDiscreteRelu" ->
                activations.quantized(layer, x, form == Form.QDQ);
            case "Rescaling" ->
                normalizations.rescaling(layer, Normalizations.scalesChannels(layer) ? inOrder(layer, x) : x);
            case "Normalization" -> normalizations.normalization(layer, inOrder(layer, x));
            case "BatchNormalization" -> normalizations.batchNormalization(layer, inOrder(layer, x));
            case "MaxPooling2D" -> pooled(layer, x, "MaxPool");
            case "AveragePooling2D" -> pooled(layer, x, "AveragePool");
            case "GlobalAveragePooling2D" -> pooledWhole(layer, x, "GlobalAveragePool");
            case "GlobalMaxPooling2D" -> pooledWhole(layer, x, "GlobalMaxPool");
            case "ZeroPadding2D" -> padded(layer, x);
            case "Flatten" -> flattened(layer, x);
            case "Reshape" -> reshape(layer, x);
            // Only training drops anything.
            case "Dropout" -> x;
            default -> throw layer.unsupported("is of a class that rebias does not know");
        };
    }

    /** A flattened image in Keras' order, for what does not work on each element alone; everything else as it is. */
    private Value inOrder(KerasLayer layer, Value x) {
        return x.order() == Value.Order.FLATTENED ? asKeras(x, layer.name() + "/in_order") : x;
    }

    private Value image(KerasLayer layer, Value x) {
        if (!x.isImage()) {
            throw layer.unsupported("takes images of [height, width, channels], but is given " + x.text());
        }
        if (!layer.text("data_format", "channels_last").equals("channels_last")) {
            throw layer.unsupported("is channels_first; rebias reads Keras models that are channels_last");
        }
        return x;
    }

    private Value pooled(KerasLayer layer, Value given, String op) {
        Value x = image(layer, given);
        Windows window = Windows.pooling(layer);
        graph.node(
                op,
                layer.name(),
                List.of(x.tensor()),
                window.poolingAttributes(x.shape()).toArray(AttributeProto[]::new));
        Value y = Value.image(layer.name(), window.output(layer, x.shape(), x.channels()));
        return op.equals("MaxPool") ? y.inSteps(x.step()) : y;
    }

    private Value pooledWhole(KerasLayer layer, Value given, String op) {
        Value x = image(layer, given);
        if (layer.flag("keepdims", false)) {
            graph.node(op, layer.name(), List.of(x.tensor()));
            return Value.image(layer.name(), 1, 1, x.channels());
        }
        String whole = graph.node(op, layer.name() + "/whole", List.of(x.tensor()));
        graph.node("Flatten", layer.name(), List.of(whole));
        return Value.keras(layer.name(), x.channels());
    }

    private Value padded(KerasLayer layer, Value given) {
        Value x = image(layer, given);
        var padding = layer.find("padding").orElseThrow(() -> layer.unsupported("has no padding"));
        List<long[]> sides = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            long[] side = KerasLayer.integers(padding.isArray() && padding.size() == 2 ? padding.get(i) : padding);
            long[] both = side.length == 1 ? new long[] {side[0], side[0]} : side;
            if (both.length != 2 || both[0] < 0 || both[1] < 0) {
                throw layer.unsupported(
                        "has the padding " + padding + ", where one or two numbers, or two pairs, belong");
            }
            sides.add(both);
        }
        long[] h = sides.get(0);
        long[] w = sides.get(1);
        String pads = graph.constant(
                layer.name() + "/pads", HostTensor.of(new long[] {0, 0, h[0], w[0], 0, 0, h[1], w[1]}, 8));
        graph.node("Pad", layer.name(), List.of(x.tensor(), pads));
        long[] shape = x.shape().clone();
        shape[0] = shape[0] < 0 ? -1 : shape[0] + h[0] + h[1];
        shape[1] = shape[1] < 0 ? -1 : shape[1] + w[0] + w[1];
        return Value.image(layer.name(), shape).inSteps(x.step());
    }

    private Value flattened(KerasLayer layer, Value x) {
        if (!layer.text("data_format", "channels_last").equals("channels_last")) {
            throw layer.unsupported("is channels_first; rebias reads Keras models that are channels_last");
        }
        graph.node("Flatten", layer.name(), List.of(x.tensor()));
        if (!x.isImage()) {
            return new Value(layer.name(), new long[] {x.elements()}, x.order(), x.flattened(), x.step());
        }
        if (x.elements() < 0) {
            throw layer.unsupported("flattens " + x.text() + ", of no fixed size");
        }
        return new Value(layer.name(), new long[] {x.elements()}, Value.Order.FLATTENED, x.shape(), x.step());
    }

    private Value reshape(KerasLayer layer, Value given) {
        Value x = asKeras(given, layer.name() + "/in_order");
        long[] target = layer.find("target_shape").map(KerasLayer::integers).orElse(new long[0]);
        long known = LongStream.of(target).filter(d -> d > 0).reduce(1, (a, b) -> a * b);
        long open = LongStream.of(target).filter(d -> d == -1).count();
        boolean fits = target.length >= 1
                && target.length <= 3
                && open <= 1
                && LongStream.of(target).allMatch(d -> d > 0 || d == -1)
                && (x.elements() < 0 || (open == 0 ? known == x.elements() : x.elements() % known == 0));
        if (!fits) {
            throw layer.unsupported("has a target_shape "
                    + layer.find("target_shape").map(Object::toString).orElse("of nothing") + " that " + x.text()
                    + " does not fit into");
        }
        for (int i = 0; i < target.length; i++) {
            target[i] = target[i] == -1 && x.elements() >= 0 ? x.elements() / known : target[i];
        }
        if (target.length != 3) {
            return Value.keras(reshaped(x.tensor(), layer.name(), target), target)
                    .inSteps(x.step());
        }
        String folded = reshaped(x.tensor(), layer.name() + "/reshaped", target);
        return Value.image(channelsFirst(folded, layer.name()), target).inSteps(x.step());
    }

    private Value merged(KerasLayer layer, List<Value> given) {
        boolean alike = given.stream().map(Value::order).distinct().count() == 1;
        boolean concatenates = layer.className().equals("Concatenate");
        List<Value> inputs = new ArrayList<>();
        for (int i = 0; i < given.size(); i++) {
            Value x = given.get(i);
            boolean keep = alike && !(concatenates && x.order() == Value.Order.FLATTENED);
            inputs.add(keep ? x : asKeras(x, layer.name() + "/input_" + i));
        }
        List<String> tensors = inputs.stream().map(Value::tensor).toList();
        Value first = inputs.get(0);
        if (inputs.stream().anyMatch(x -> x.shape().length != first.shape().length)) {
            throw layer.unsupported("joins data of different ranks: "
                    + inputs.stream().map(Value::text).toList());
        }
        if (concatenates) {
            int axis = layer.integer("axis", -1);
            int rank = first.shape().length + 1;
            int positive = axis < 0 ? axis + rank : axis;
            if (positive < 1 || positive >= rank) {
                throw layer.unsupported("joins along axis " + axis + " of " + first.text());
            }
            graph.node("Concat", layer.name(), tensors, Attributes.of("axis", first.axis(axis)));
            long[] shape = first.shape().clone();
            for (Value x : inputs.subList(1, inputs.size())) {
                shape[positive - 1] = shape[positive - 1] < 0 || x.shape()[positive - 1] < 0
                        ? -1
                        : shape[positive - 1] + x.shape()[positive - 1];
            }
            return new Value(layer.name(), shape, first.order(), first.flattened(), 0);
        }
        for (Value x : inputs) {
            if (!Arrays.equals(x.shape(), first.shape())) {
                throw layer.unsupported("adds " + first.text() + " and " + x.text());
            }
        }
        String sum = tensors.get(0);
        for (int i = 1; i < tensors.size(); i++) {
            String output = i == tensors.size() - 1 ? layer.name() : layer.name() + "/sum_" + i;
            sum = graph.node("Add", output, List.of(sum, tensors.get(i)));
        }
        return first.as(sum);
    }
}
