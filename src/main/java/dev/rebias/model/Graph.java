package dev.rebias.model;

import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A model as rebias computes it: nodes in graph order, whose inputs are graph inputs, other nodes' outputs, or
 * constants. Everything that depends on constants alone has been evaluated. Made by {@link GraphReader}.
 *
 * @param file the file it came from, for messages
 * @param inputs the inputs that samples must fill
 * @param nodes the nodes that depend on an input, in an order in which they can run
 * @param constants by name, every constant that a node uses
 * @param dequantized by name, the constants among them that are made from stored integers
 * @param outputs the names of the model's outputs
 * @param notLayers nodes that are convolutions or matrix products but cannot be corrected, with the reason
 * @param joinedToNext the names of the nodes that are corrected as one with the layer node behind them
 */
public record Graph(
        String file,
        List<GraphInput> inputs,
        List<Node> nodes,
        Map<String, HostTensor> constants,
        Map<String, Dequantized> dequantized,
        Set<String> outputs,
        List<SkippedLayer> notLayers,
        Set<String> joinedToNext) {

    public Graph {
        inputs = List.copyOf(inputs);
        nodes = List.copyOf(nodes);
        constants = Map.copyOf(constants);
        dequantized = Map.copyOf(dequantized);
        outputs = Set.copyOf(outputs);
        notLayers = List.copyOf(notLayers);
        joinedToNext = Set.copyOf(joinedToNext);
    }

    /** The values of a FLOAT constant in double precision, exact where it stands for quantised values. */
    public double[] doubles(String constant) {
        if (dequantized.containsKey(constant)) {
            return dequantized.get(constant).values();
        }
        float[] floats = constants.get(constant).toFloats();
        double[] out = new double[floats.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = floats[i];
        }
        return out;
    }

    /** Whether a node's input is given and not a constant. */
    public boolean isVariable(String input) {
        return !input.isEmpty() && !constants.containsKey(input);
    }

    /** For every tensor, the nodes that use it, in graph order; a node that uses it twice is listed twice. */
    public Map<String, List<Node>> consumers() {
        Map<String, List<Node>> consumers = new HashMap<>();
        for (Node node : nodes) {
            for (String input : node.inputs()) {
                consumers.computeIfAbsent(input, k -> new ArrayList<>()).add(node);
            }
        }
        return consumers;
    }
}
