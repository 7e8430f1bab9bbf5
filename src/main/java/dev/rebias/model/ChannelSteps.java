package dev.rebias.model;

import dev.rebias.op.Attributes;
import dev.rebias.op.OnnxOp;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Reads the nodes of a graph that scale and shift per channel: Add, Sub, Mul and Div with a constant,
 * BatchNormalization, Neg, Identity, Dropout.
 */
final class ChannelSteps {
    /**
     * The channel axis of a tensor whose rank is not known is the last one; its rank counts for BatchNormalization
     * alone.
     */
    static final int LAST_AXIS = 0;

    private static final Set<String> RANK_KEEPING = Set.of(
            "Relu",
            "Clip",
            "Sigmoid",
            "Tanh",
            "LeakyRelu",
            "HardSigmoid",
            "QuantizeLinear",
            "DequantizeLinear",
            "Identity",
            "Dropout",
            "BatchNormalization",
            "Cast",
            "MatMul");

    private final Graph graph;
    private final Map<String, Node> producers;

    ChannelSteps(Graph graph, Map<String, Node> producers) {
        this.graph = graph;
        this.producers = producers;
    }

    /**
     * The node as such a step, or empty where it is none.
     *
     * @param input the tensor among the node's inputs that is scaled and shifted
     * @param channels how many channels that tensor has
     * @param behind how many axes lie behind the channels' axis; {@link #LAST_AXIS} for the results of matrix products
     */
    Optional<ChannelStep> of(Node node, String input, int channels, int behind) {
        if (!(node.op() instanceof OnnxOp op)
                || !op.standard()
                || node.outputs().isEmpty()) {
            return Optional.empty();
        }
        boolean first = node.inputs().get(0).equals(input);
        return switch (node.op().type()) {
            case "Identity" -> Optional.of(step(node, input, constant(channels, 0), constant(channels, 1)));
            case "Dropout" ->
                node.inputs().size() == 1
                        ? Optional.of(step(node, input, constant(channels, 0), constant(channels, 1)))
                        : Optional.empty();
            case "Neg" -> Optional.of(step(node, input, constant(channels, 0), constant(channels, -1)));
            case "BatchNormalization" ->
                first && normalizes(node, op, channels, behind)
                        ? Optional.of(batchNormalization(node, op, input))
                        : Optional.empty();
            case "Add", "Sum", "Sub", "Mul", "Div" -> binary(node, input, channels, behind);
            default -> Optional.empty();
        };
    }

    private static double[] constant(int channels, double value) {
        double[] out = new double[channels];
        Arrays.fill(out, value);
        return out;
    }

    private static ChannelStep step(Node node, String input, double[] shift, double[] scale) {
        return new ChannelStep(
                node, input, node.outputs().get(0), new double[scale.length], scale, shift, Optional.empty());
    }

    private Optional<ChannelStep> binary(Node node, String input, int channels, int behind) {
        if (node.inputs().size() != 2) {
            return Optional.empty();
        }
        int operand = node.inputs().get(0).equals(input) ? 1 : 0;
        String type = node.op().type();
        if (type.equals("Div") && operand == 0) {
            return Optional.empty();
        }
        String name = node.inputs().get(operand);
        return perChannel(name, channels, behind).map(values -> switch (type) {
            case "Mul" -> step(node, input, constant(channels, 0), values);
            case "Div" ->
                step(
                        node,
                        input,
                        constant(channels, 0),
                        Arrays.stream(values).map(v -> 1 / v).toArray());
            case "Sub" ->
                operand == 1
                        ? shift(
                                node,
                                input,
                                Arrays.stream(values).map(v -> -v).toArray(),
                                1,
                                bias(node, operand, channels, -1))
                        : shift(node, input, values, -1, bias(node, operand, channels, 1));
            default -> shift(node, input, values, 1, bias(node, operand, channels, 1));
        });
    }

    /** A constant holds a bias if it has a value for each channel; one for all is a scale's or a quantiser's offset. */
    private Optional<Layer.Apart> bias(Node node, int operand, int channels, int sign) {
        boolean each = graph.constants().get(node.inputs().get(operand)).elements() == channels;
        return each ? Optional.of(new Layer.Apart(node, operand, sign)) : Optional.empty();
    }

    private static ChannelStep shift(
            Node node, String input, double[] values, double scale, Optional<Layer.Apart> bias) {
        return new ChannelStep(
                node,
                input,
                node.outputs().get(0),
                new double[values.length],
                constant(values.length, scale),
                values,
                bias);
    }

    /** A FLOAT constant that broadcasts to one value for each channel. */
    private Optional<double[]> perChannel(String name, int channels, int behind) {
        HostTensor constant = graph.constants().get(name);
        if (constant == null || constant.type() != ElementType.FLOAT) {
            return Optional.empty();
        }
        long[] shape = constant.shape();
        int axis = shape.length - 1 - behind;
        // A constant of more axes than the tensor would give the result more axes.
        if (behind != LAST_AXIS && axis > 1) {
            return Optional.empty();
        }
        for (int i = 0; i < shape.length; i++) {
            if (shape[i] != 1 && (i != axis || shape[i] != channels)) {
                return Optional.empty();
            }
        }
        double[] values = graph.doubles(name);
        return Optional.of(values.length == channels ? values : constant(channels, values[0]));
    }

    /** Whether all four parameters are constant and it works as in inference, along the channels' axis. */
    private boolean normalizes(Node node, OnnxOp op, int channels, int behind) {
        return node.inputs().size() == 5
                && (behind != LAST_AXIS || rank(node.inputs().get(0), new HashSet<>()) <= 2)
                && Attributes.integer(op.node(), "training_mode", 0) == 0
                && node.inputs().subList(1, 5).stream()
                        .map(graph.constants()::get)
                        .allMatch(c -> c != null && c.type() == ElementType.FLOAT && c.elements() == channels);
    }

    /** With g = scale / sqrt(var + epsilon): BN(x) = g (x - mean) + B. */
    private ChannelStep batchNormalization(Node node, OnnxOp op, String input) {
        float epsilon = Attributes.real(op.node(), "epsilon", 1e-5f);
        double[] scale = graph.doubles(node.inputs().get(1));
        double[] shift = graph.doubles(node.inputs().get(2));
        double[] mean = graph.doubles(node.inputs().get(3));
        double[] variance = graph.doubles(node.inputs().get(4));
        double[] gain = new double[scale.length];
        for (int c = 0; c < gain.length; c++) {
            gain[c] = scale[c] / Math.sqrt(variance[c] + epsilon);
        }
        return new ChannelStep(node, input, node.outputs().get(0), mean, gain, shift, Optional.empty());
    }

    /** The rank of a tensor as far as the nodes before it tell, else 0. */
    private int rank(String tensor, Set<String> seen) {
        Optional<GraphInput> input =
                graph.inputs().stream().filter(i -> i.name().equals(tensor)).findFirst();
        if (input.isPresent()) {
            return input.get().shape().length;
        }
        Node producer = producers.get(tensor);
        if (producer == null || !seen.add(tensor)) {
            return 0;
        }
        String type = producer.op().type();
        List<String> variable =
                producer.inputs().stream().filter(graph::isVariable).toList();
        if (RANK_KEEPING.contains(type)
                || (Set.of("Add", "Sub", "Mul", "Div").contains(type) && variable.size() == 1)) {
            return variable.isEmpty() ? 0 : rank(variable.get(0), seen);
        }
        if (type.equals("Reshape") && producer.inputs().size() > 1) {
            HostTensor shape = graph.constants().get(producer.inputs().get(1));
            return shape == null ? 0 : Math.toIntExact(shape.elements());
        }
        return type.equals("Flatten") || type.equals("Gemm") ? 2 : 0;
    }
}
