package dev.rebias.keras;

import ai.onnx.proto.OnnxMl.AttributeProto;
import dev.rebias.keras.KerasNetwork.Form;
import dev.rebias.keras.WeightQuantizer.Quantized;
import dev.rebias.op.Attributes;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Layers with weights: convolutions and products, quantised or not. */
final class WeightedLayers {
    private final GraphWriter graph;
    private final Form form;
    private final Map<String, float[]> biases;
    private final Set<String> joinedToNext = new HashSet<>();
    private final Map<String, String> notLayers = new HashMap<>();

    WeightedLayers(GraphWriter graph, Form form, Map<String, float[]> biases) {
        this.graph = graph;
        this.form = form;
        this.biases = biases;
    }

    /** The nodes that are corrected as one with the next. */
    Set<String> joinedToNext() {
        return joinedToNext;
    }

    /** The nodes with weights that are not to be corrected, with the reason. */
    Map<String, String> notLayers() {
        return notLayers;
    }

    /**
     * A quantised layer's data directly behind a DequantizeLinear, where they are quantised values that have been
     * pooled or reshaped since: so that the layer works on integers, here and in engines that look for that.
     */
    private Value dequantized(KerasLayer layer, Value x) {
        if (form == Form.FLOAT
                || !layer.isQuantized()
                || x.step() == 0
                || graph.makes("DequantizeLinear", x.tensor())) {
            return x;
        }
        String name = layer.name() + "/input";
        String step = graph.scalar(name + "/step", x.step());
        String zero = graph.constant(name + "/zero", HostTensor.ofByte(ElementType.UINT8, 0));
        String quantized = graph.node("QuantizeLinear", name + "/quantized", List.of(x.tensor(), step, zero));
        graph.node("DequantizeLinear", name, List.of(quantized, step, zero));
        return x.as(name);
    }

    Value convolution(KerasLayer layer, Value given) {
        Value x = dequantized(layer, given);
        long filters = layer.positive("filters");
        long groups = layer.integer("groups", 1);
        checkImage(layer, x, groups);
        long[] size = layer.pair("kernel_size");
        KerasWeight kernel = layer.weight(0, "kernel", size[0], size[1], x.channels() / groups, filters);
        Kernel w = Kernel.convolution(kernel.shape(), kernel.values(), quantized(layer, "quantizer", kernel));
        Windows window = new Windows(layer, size);
        String output = conv(layer, layer.name(), output(layer), x, w, bias(layer, filters), window, groups);
        return activated(layer, Value.image(output, window.output(layer, x.shape(), filters)));
    }

    Value depthwise(KerasLayer layer, Value x) {
        long multiplier = multiplier(layer);
        checkImage(layer, x, 1);
        long[] size = layer.pair("kernel_size");
        KerasWeight kernel = layer.weight(0, "depthwise kernel", size[0], size[1], x.channels(), multiplier);
        layer.checkWeights(layer.usesBias() ? 2 : 1);
        Kernel w = Kernel.depthwise(kernel.shape(), kernel.values(), Optional.empty());
        Windows window = new Windows(layer, size);
        long channels = x.channels() * multiplier;
        String output = conv(layer, layer.name(), output(layer), x, w, bias(layer, channels), window, x.channels());
        return activated(layer, Value.image(output, window.output(layer, x.shape(), channels)));
    }

    Value separable(KerasLayer layer, Value given) {
        Value x = dequantized(layer, given);
        long filters = layer.positive("filters");
        long multiplier = multiplier(layer);
        checkImage(layer, x, 1);
        long[] size = layer.pair("kernel_size");
        long channels = x.channels() * multiplier;
        KerasWeight depthwise = layer.weight(0, "depthwise kernel", size[0], size[1], x.channels(), multiplier);
        KerasWeight pointwise = layer.weight(1, "pointwise kernel", 1, 1, channels, filters);
        String quantizer = layer.find("quantizer_dw").isPresent() ? "quantizer_dw" : "quantizer";
        Kernel first =
                Kernel.depthwise(depthwise.shape(), depthwise.values(), quantized(layer, quantizer, depthwise, 1));
        Kernel second =
                Kernel.convolution(pointwise.shape(), pointwise.values(), quantized(layer, "quantizer", pointwise));
        Windows window = new Windows(layer, size);
        String name = layer.name() + "/depthwise";
        String inner = conv(layer, name, name, x, first, Optional.empty(), window, x.channels());
        Value between = Value.image(inner, window.output(layer, x.shape(), channels));
        if (!notLayers.containsKey(name)) {
            joinedToNext.add(name);
        }
        String output =
                conv(layer, layer.name(), output(layer), between, second, bias(layer, filters), Windows.NONE, 1);
        return activated(layer, Value.image(output, window.output(layer, x.shape(), filters)));
    }

    Value dense(KerasLayer layer, Value given) {
        Value x = dequantized(layer, given);
        long units = layer.positive("units");
        KerasWeight kernel = layer.weight(0, "kernel", x.channels(), units);
        Kernel w = Kernel.product(kernel.shape(), kernel.values(), quantized(layer, "quantizer", kernel));
        Optional<float[]> bias = bias(layer, units);
        String output = output(layer);
        long[] shape = x.shape().clone();
        shape[shape.length - 1] = units;
        if (x.isImage()) {
            conv(layer, layer.name(), output, x, w.asPointwise(), bias, Windows.NONE, 1);
            return activated(layer, Value.image(output, shape));
        }
        Kernel ordered = x.order() == Value.Order.FLATTENED ? w.forFlattened(x) : w;
        String weights = weights(layer.name() + "/kernel", ordered, 1, layer);
        note(layer, layer.name());
        if (shape.length == 1) {
            List<String> inputs = new ArrayList<>(List.of(x.tensor(), weights));
            bias.ifPresent(b -> inputs.add(graph.constant(layer.name() + "/bias", HostTensor.of(b, b.length))));
            graph.node("Gemm", layer.name(), output, inputs);
        } else if (bias.isPresent()) {
            String product =
                    graph.node("MatMul", layer.name(), layer.name() + "/product", List.of(x.tensor(), weights));
            String added = graph.constant(layer.name() + "/bias", HostTensor.of(bias.get(), units));
            graph.node("Add", output, List.of(product, added));
        } else {
            graph.node("MatMul", layer.name(), output, List.of(x.tensor(), weights));
        }
        return activated(layer, Value.keras(output, shape));
    }

    private static int multiplier(KerasLayer layer) {
        return layer.find("depth_multiplier").isPresent() ? layer.positive("depth_multiplier") : 1;
    }

    private static void checkImage(KerasLayer layer, Value x, long groups) {
        if (!x.isImage()) {
            throw layer.unsupported("takes images of [height, width, channels], but is given " + x.text());
        }
        if (!layer.text("data_format", "channels_last").equals("channels_last")) {
            throw layer.unsupported("is channels_first; rebias reads Keras models that are channels_last");
        }
        if (groups < 1 || x.channels() % groups != 0) {
            throw layer.unsupported("has " + groups + " groups for " + x.channels() + " channels");
        }
    }

    /** What the kernel is multiplied as; empty where that is as it is stored. */
    private Optional<Quantized> quantized(KerasLayer layer, String key, KerasWeight kernel) {
        return quantized(layer, key, kernel, 0);
    }

    /**
     * The same.
     *
     * @param before how many of the layer's quantisers come before this one; cnn2snn's separable layers have
     *     {@code quantizer}, and behind it {@code quantizer_dw} or a copy of the first
     */
    private Optional<Quantized> quantized(KerasLayer layer, String key, KerasWeight kernel, int before) {
        int first = layer.biasIndex() + (layer.usesBias() ? 1 : 0);
        if (!layer.isQuantized()) {
            layer.checkWeights(first);
            return Optional.empty();
        }
        boolean separable = layer.biasIndex() > 1;
        String depthwise = layer.find("quantizer_dw").isPresent() ? "quantizer_dw" : "quantizer";
        int thresholds = (WeightQuantizer.isTrained(layer, "quantizer") ? 1 : 0)
                + (separable && WeightQuantizer.isTrained(layer, depthwise) ? 1 : 0);
        layer.checkWeights(first + thresholds);
        int own = first + (before > 0 && WeightQuantizer.isTrained(layer, "quantizer") ? 1 : 0);
        Optional<KerasWeight> trained =
                own < layer.weights().size() ? Optional.of(layer.weights().get(own)) : Optional.empty();
        WeightQuantizer quantizer = WeightQuantizer.of(layer, key, trained);
        return form == Form.FLOAT ? Optional.empty() : Optional.of(quantizer.quantize(layer, kernel));
    }

    private Optional<float[]> bias(KerasLayer layer, long channels) {
        Optional<float[]> stored = layer.usesBias()
                ? Optional.of(layer.weight(layer.biasIndex(), "bias", channels).values())
                : Optional.empty();
        return Optional.ofNullable(biases.get(layer.name())).or(() -> stored);
    }

    /** The name of a layer's output before the activation that its configuration may name. */
    private static String output(KerasLayer layer) {
        return Activations.isLinear(layer) ? layer.name() : layer.name() + "/pre_activation";
    }

    private Value activated(KerasLayer layer, Value y) {
        return Activations.isLinear(layer) ? y : new Activations(graph).named(layer, y);
    }

    /** In the quantised model, a layer whose weights are not quantised has no error of its own to correct. */
    private void note(KerasLayer layer, String node) {
        if (form == Form.QUANTIZED && !layer.isQuantized()) {
            notLayers.put(node, "its weights are not quantised (" + layer.className() + ")");
        }
    }

    /** A Conv node of the layer; its output has that name. */
    private String conv(
            KerasLayer layer,
            String node,
            String output,
            Value x,
            Kernel kernel,
            Optional<float[]> bias,
            Windows window,
            long groups) {
        note(layer, node);
        List<String> inputs = new ArrayList<>(List.of(x.tensor(), weights(node + "/kernel", kernel, 0, layer)));
        bias.ifPresent(b -> inputs.add(graph.constant(node + "/bias", HostTensor.of(b, b.length))));
        List<AttributeProto> attributes = new ArrayList<>(window.attributes(x.shape()));
        attributes.add(Attributes.of("group", groups));
        return graph.node("Conv", node, output, inputs, attributes.toArray(AttributeProto[]::new));
    }

    private String weights(String name, Kernel kernel, int axis, KerasLayer layer) {
        if (kernel.quantized().isEmpty()) {
            return graph.constant(name, kernel.tensor());
        }
        if (form == Form.QUANTIZED) {
            // As the quantiser's formula has it: integers divided by their scale factors.
            String integers = graph.constant(name + "_steps", kernel.steps(ElementType.INT32));
            String floats = graph.node(
                    "Cast", name + "_cast", List.of(integers), Attributes.of("to", ElementType.FLOAT.onnxCode()));
            String factors = graph.constant(name + "_factors", kernel.factors(axis));
            return graph.node("Div", name, List.of(floats, factors));
        }
        for (int step : kernel.quantized().get().steps()) {
            if (step < Byte.MIN_VALUE || step > Byte.MAX_VALUE) {
                throw layer.unsupported(
                        "has weights of more than 8 bits, which the ONNX export does not write: name the output "
                                + ".h5 or .keras");
            }
        }
        String steps = graph.constant(name + "_int8", kernel.steps(ElementType.INT8));
        float[] scale = kernel.quantized().get().scale();
        String scales = graph.constant(name + "_scale", HostTensor.of(scale, scale.length));
        return graph.node("DequantizeLinear", name, List.of(steps, scales), Attributes.of("axis", axis));
    }
}
