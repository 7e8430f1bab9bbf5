package dev.rebias.model;

import dev.rebias.error.UnsupportedException;
import dev.rebias.op.OnnxOp;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * An input of a quantised model that takes integers, while the float model's takes floats: the QuantizeLinear at its
 * input was cut off. What the integers stand for is said by the DequantizeLinear (or the scale of the QOperator node)
 * that they go into.
 *
 * @param input the file's input
 * @param floats the name of the FLOAT input that {@link #graph} has in its place
 * @param scale the size of one step
 * @param zeroPoint the integer that stands for 0
 * @param graph the model with a FLOAT input, and the QuantizeLinear that makes the integers of it
 */
public record IntegerInput(GraphInput input, String floats, float scale, int zeroPoint, Graph graph) {
    /** Operations that hand integers on as they are, from their first operand. */
    private static final Set<String> MOVES = Set.of(
            "Transpose",
            "Reshape",
            "Flatten",
            "Squeeze",
            "Unsqueeze",
            "Identity",
            "Slice",
            "MaxPool",
            "DepthToSpace",
            "SpaceToDepth");

    /** Scale and zero point of a DequantizeLinear, by the names of their constants; no zero point is 0. */
    private record Parameters(String scale, Optional<String> zeroPoint) {}

    /**
     * Puts a FLOAT input in the place of one of integers.
     *
     * @param input an input of the graph, UINT8 or INT8
     * @throws UnsupportedException if what the integers stand for is not known, or not one thing
     */
    public static IntegerInput of(Graph graph, GraphInput input) {
        Parameters parameters = parameters(graph, input);
        HostTensor scale = graph.constants().get(parameters.scale());
        HostTensor zero =
                parameters.zeroPoint().map(graph.constants()::get).orElseGet(() -> HostTensor.ofByte(input.type(), 0));
        byte bits = zero.bytes().get(0);
        String floats = unused(graph, input.name() + "/float");
        String zeroName = parameters.zeroPoint().orElse(floats + "/zero");
        Map<String, HostTensor> constants = new HashMap<>(graph.constants());
        constants.put(zeroName, zero);
        List<GraphInput> inputs = graph.inputs().stream()
                .map(i -> i.name().equals(input.name()) ? new GraphInput(floats, ElementType.FLOAT, i.shape()) : i)
                .toList();
        List<String> operands = List.of(floats, parameters.scale(), zeroName);
        List<Node> nodes = new ArrayList<>();
        nodes.add(new Node(
                floats + "/quantize", OnnxOp.quantizeLinear(), operands, List.of(input.name()), -1, input.name()));
        nodes.addAll(graph.nodes());
        return new IntegerInput(
                input,
                floats,
                scale.floats().get(0),
                input.type() == ElementType.UINT8 ? Byte.toUnsignedInt(bits) : bits,
                new Graph(
                        graph.file(),
                        inputs,
                        nodes,
                        constants,
                        graph.dequantized(),
                        graph.outputs(),
                        graph.notLayers(),
                        graph.joinedToNext()));
    }

    private static String unused(Graph graph, String wanted) {
        Set<String> taken = new HashSet<>(graph.constants().keySet());
        graph.inputs().forEach(i -> taken.add(i.name()));
        graph.nodes().forEach(n -> taken.addAll(n.outputs()));
        String name = wanted;
        for (int i = 1; taken.contains(name); i++) {
            name = wanted + "_" + i;
        }
        return name;
    }

    /** What all DequantizeLinears say that the input's integers go into. */
    private static Parameters parameters(Graph graph, GraphInput input) {
        Map<String, List<Node>> consumers = graph.consumers();
        Set<String> seen = new LinkedHashSet<>(List.of(input.name()));
        Deque<String> open = new ArrayDeque<>(seen);
        Optional<Parameters> found = Optional.empty();
        while (!open.isEmpty()) {
            String tensor = open.pop();
            for (Node node : consumers.getOrDefault(tensor, List.of())) {
                boolean data = node.inputs().indexOf(tensor) == 0;
                String type = node.op().type();
                if (data && type.equals("DequantizeLinear")) {
                    Parameters own = parameters(graph, input, node);
                    if (found.isPresent() && !alike(graph, found.get(), own)) {
                        throw unknown(
                                graph,
                                input,
                                "is dequantised with several scales, the last by node '" + node.name() + "'");
                    }
                    found = Optional.of(found.orElse(own));
                } else if (data && MOVES.contains(type)) {
                    node.outputs().stream().filter(seen::add).forEach(open::push);
                } else if (!type.equals("Shape")) {
                    throw unknown(graph, input, "goes into node '" + node.name() + "' (" + type + ")");
                }
            }
        }
        return found.orElseThrow(() -> unknown(graph, input, "is never dequantised"));
    }

    private static Parameters parameters(Graph graph, GraphInput input, Node dequantize) {
        String scale = dequantize.inputs().get(1);
        Optional<String> zero = Optional.of(dequantize.inputs())
                .filter(i -> i.size() > 2)
                .map(i -> i.get(2))
                .filter(z -> !z.isEmpty());
        HostTensor value = graph.constants().get(scale);
        boolean one = value != null
                && value.type() == ElementType.FLOAT
                && value.elements() == 1
                && zero.map(graph.constants()::get)
                        .map(z -> z.elements() == 1 && z.type() == input.type())
                        .orElse(zero.isEmpty());
        if (!one) {
            throw unknown(
                    graph,
                    input,
                    "is dequantised by node '" + dequantize.name()
                            + "' with a scale and zero point that are not one stored value each");
        }
        return new Parameters(scale, zero);
    }

    private static boolean alike(Graph graph, Parameters a, Parameters b) {
        return graph.constants().get(a.scale()).floats().get(0)
                        == graph.constants().get(b.scale()).floats().get(0)
                && zero(graph, a) == zero(graph, b);
    }

    private static byte zero(Graph graph, Parameters parameters) {
        return parameters
                .zeroPoint()
                .map(z -> graph.constants().get(z).bytes().get(0))
                .orElse((byte) 0);
    }

    private static UnsupportedException unknown(Graph graph, GraphInput input, String what) {
        return new UnsupportedException("input '" + input.name() + "' of '" + graph.file() + "' takes " + input.type()
                + " where the float model takes FLOAT, and what its integers stand for is not known: it " + what
                + ", instead of one DequantizeLinear with one scale; export the quantised model with a "
                + "float input and a QuantizeLinear behind it");
    }
}
