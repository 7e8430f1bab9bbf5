package dev.rebias.keras;

import dev.rebias.op.Attributes;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.List;

/**
 * Activation functions, as layers of their own or named in another layer's configuration; and cnn2snn's quantising
 * ones.
 */
final class Activations {
    /** The most bits whose steps are stored as UINT8. */
    private static final int BYTE = 8;

    private final GraphWriter graph;

    Activations(GraphWriter graph) {
        this.graph = graph;
    }

    /** Whether a layer's configuration names no activation. */
    static boolean isLinear(KerasLayer layer) {
        return layer.text("activation", "linear").equals("linear");
    }

    /** The function that a layer's configuration names; its output has the layer's name. */
    Value named(KerasLayer layer, Value x) {
        String function = layer.text("activation", "linear");
        String name = layer.name();
        List<String> in = List.of(x.tensor());
        switch (function) {
            case "linear" -> graph.node("Identity", name, in);
            case "relu" -> graph.node("Relu", name, in);
            case "relu6" -> clip(name, x.tensor(), 0, 6);
            case "sigmoid" -> graph.node("Sigmoid", name, in);
            case "tanh" -> graph.node("Tanh", name, in);
            case "elu" -> graph.node("Elu", name, in);
            case "selu" -> graph.node("Selu", name, in);
            case "softplus" -> graph.node("Softplus", name, in);
            case "softsign" -> graph.node("Softsign", name, in);
            case "exponential" -> graph.node("Exp", name, in);
            case "swish", "silu" -> {
                String gate = graph.node("Sigmoid", name + "/gate", in);
                graph.node("Mul", name, List.of(x.tensor(), gate));
            }
            case "softmax" -> graph.node("Softmax", name, in, Attributes.of("axis", x.axis(-1)));
            default ->
                throw layer.unsupported("has the activation '" + function
                        + "', which rebias does not know: give the function a layer of its own that it does");
        }
        return x.as(name);
    }

    private String clip(String output, String x, float least, float most) {
        String min = graph.scalar(output + "/min", least);
        String max = graph.scalar(output + "/max", most);
        return graph.node("Clip", output, List.of(x, min, max));
    }

    /** Keras' ReLU: x above the threshold, at most max_value; below, negative_slope (x - threshold). */
    Value relu(KerasLayer layer, Value x) {
        String name = layer.name();
        float slope = (float) layer.real("negative_slope", 0);
        float threshold = (float) layer.real("threshold", 0);
        float most = (float) layer.real("max_value", Float.POSITIVE_INFINITY);
        if (slope < 0 || most < 0 || threshold < 0) {
            throw layer.unsupported("has max_value " + most + ", negative_slope " + slope + " and threshold "
                    + threshold + ", of which none must be below 0");
        }
        String positive = slope == 0 ? name : name + "/positive";
        String source = x.tensor();
        if (threshold != 0) {
            String bound = graph.scalar(name + "/threshold", threshold);
            String above = graph.node("Greater", name + "/above", List.of(source, bound));
            String mask = graph.node(
                    "Cast", name + "/mask", List.of(above), Attributes.of("to", ElementType.FLOAT.onnxCode()));
            source = graph.node("Mul", name + "/passed", List.of(source, mask));
        }
        if (most < Float.POSITIVE_INFINITY) {
            clip(positive, source, 0, most);
        } else if (threshold == 0) {
            graph.node("Relu", positive, List.of(source));
        } else {
            graph.node("Identity", positive, List.of(source));
        }
        if (slope != 0) {
            String bound = graph.scalar(name + "/bound", threshold);
            String below = graph.node("Sub", name + "/below", List.of(bound, x.tensor()));
            String negative = graph.node("Relu", name + "/negative", List.of(below));
            String sloped =
                    graph.node("Mul", name + "/sloped", List.of(negative, graph.scalar(name + "/slope", slope)));
            graph.node("Sub", name, List.of(positive, sloped));
        }
        return x.as(name);
    }

    Value softmax(KerasLayer layer, Value x) {
        int axis = layer.find("axis")
                .map(KerasLayer::integers)
                .map(a -> a.length == 1 ? (int) a[0] : 0)
                .orElse(-1);
        if (axis == 0 || axis > x.shape().length || axis < -x.shape().length) {
            throw layer.unsupported("has the axis " + layer.find("axis").orElseThrow() + " for " + x.text());
        }
        graph.node("Softmax", layer.name(), List.of(x.tensor()), Attributes.of("axis", x.axis(axis)));
        return x.as(layer.name());
    }

    /**
     * A quantising activation: with {@code levels = 2^bitwidth - 1}, {@code step clip(ceil((x - step / 2) / step), 0,
     * levels)}, so a value half way goes down.
     *
     * @param qdq whether to write it as other tools expect it, a QuantizeLinear and a DequantizeLinear, which rounds
     *     halves to even
     */
    Value quantized(KerasLayer layer, Value x, boolean qdq) {
        int bitwidth = layer.integer("bitwidth");
        if (bitwidth < 1 || bitwidth > 16) {
            throw layer.unsupported("has a bitwidth of " + bitwidth + ", possible are 1 to 16");
        }
        float levels = (1 << bitwidth) - 1;
        float step = step(layer, levels);
        if (!(step > 0 && Float.isFinite(step))) {
            throw layer.unsupported("quantises with the step " + step + ", which must be above 0");
        }
        String name = layer.name();
        String stepName = graph.scalar(name + "/step", step);
        if (bitwidth > BYTE) {
            String whole = clip(name + "/steps", steps(name, x.tensor(), stepName, step), 0, levels);
            graph.node("Mul", name, List.of(whole, stepName));
            return x.as(name);
        }
        String zero = graph.constant(name + "/zero", HostTensor.ofByte(ElementType.UINT8, 0));
        String quantized = name + "/quantized";
        if (qdq) {
            String clipped = clip(name + "/clipped", x.tensor(), 0, levels * step);
            graph.node("QuantizeLinear", quantized, List.of(clipped, stepName, zero));
        } else {
            String whole = clip(name + "/steps", steps(name, x.tensor(), stepName, step), 0, levels);
            graph.node("QuantizeLinear", quantized, List.of(whole, graph.scalar(name + "/one", 1), zero));
        }
        graph.node("DequantizeLinear", name, List.of(quantized, stepName, zero));
        return x.as(name).inSteps(step);
    }

    /** ceil((x - step / 2) / step). */
    private String steps(String name, String x, String stepName, float step) {
        String half = graph.scalar(name + "/half", 0.5f * step);
        String shifted = graph.node("Sub", name + "/shifted", List.of(x, half));
        String divided = graph.node("Div", name + "/divided", List.of(shifted, stepName));
        return graph.node("Ceil", name + "/whole", List.of(divided));
    }

    private static float step(KerasLayer layer, float levels) {
        return switch (layer.className()) {
            case "ActivationDiscreteRelu" -> Math.min(levels, 6) / levels;
            case "QuantizedReLU" -> (float) layer.real("max_value", levels) / levels;
            default -> {
                // cnn2snn's base class; only what is derived from it says what its step is.
                if (layer.find("step").isEmpty() && layer.find("max_value").isEmpty()) {
                    throw layer.unsupported(
                            "has neither a step nor a max_value: it is cnn2snn's base class, give the layer one "
                                    + "that says how it quantises");
                }
                yield (float) layer.real("step", layer.real("max_value", levels) / levels);
            }
        };
    }
}
