package dev.rebias.model;

import dev.rebias.op.OnnxOp;
import dev.rebias.op.Op;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Nodes that the float model does not have, by which one of its layers is computed in the quantised layer's spelling:
 * what scales, shifts and pads its data before it, and what turns its output back into the tensor that the float model
 * goes on with.
 *
 * @param nodes in an order in which they can run
 * @param constants by name
 */
public record Bridge(List<Node> nodes, Map<String, HostTensor> constants) {
    /** Where both models spell a layer alike. */
    static final Bridge NONE = new Bridge(List.of(), Map.of());

    public Bridge {
        nodes = List.copyOf(nodes);
        constants = Map.copyOf(constants);
    }

    /**
     * The float model with the bridges of these pairs, in which each layer can be computed as the quantised model
     * spells it.
     */
    public static Graph over(Graph floating, List<LayerPair> pairs) {
        List<Node> nodes = new ArrayList<>(floating.nodes());
        Map<String, HostTensor> constants = new HashMap<>(floating.constants());
        for (LayerPair pair : pairs) {
            nodes.addAll(pair.bridge().nodes());
            constants.putAll(pair.bridge().constants());
        }
        return new Graph(
                floating.file(),
                floating.inputs(),
                nodes,
                constants,
                floating.dequantized(),
                floating.outputs(),
                floating.notLayers(),
                floating.joinedToNext());
    }

    /** Puts one together. */
    static final class Builder {
        private final Node layer;
        private final List<Node> nodes = new ArrayList<>();
        private final Map<String, HostTensor> constants = new HashMap<>();

        /**
         * @param layer the float layer's node; names of new tensors begin with that of its output, and have a line
         *     break in them, as none of a file has
         */
        Builder(Node layer) {
            this.layer = layer;
        }

        String name(String part) {
            return layer.outputs().get(0) + "\n" + part;
        }

        /** Multiplies and adds per channel what is not 1 or 0, and gives the name of the result. */
        String scaleAndShift(String tensor, double[] scale, double[] shift, long[] shape, String part) {
            String out = tensor;
            if (Arrays.stream(scale).anyMatch(s -> s != 1)) {
                out = node(OnnxOp.multiply(), out, floats(scale, shape, part + " scale"), part + " scaled");
            }
            if (Arrays.stream(shift).anyMatch(s -> s != 0)) {
                out = node(OnnxOp.add(), out, floats(shift, shape, part + " shift"), part + " shifted");
            }
            return out;
        }

        /** Puts zeros around the spatial dimensions: all begins, then all ends. */
        String pad(String tensor, List<Long> pads) {
            if (pads.stream().allMatch(p -> p == 0)) {
                return tensor;
            }
            int spatial = pads.size() / 2;
            long[] all = new long[2 * spatial + 4];
            for (int i = 0; i < spatial; i++) {
                all[i + 2] = pads.get(i);
                all[spatial + 4 + i] = pads.get(spatial + i);
            }
            String name = name("pads");
            constants.put(name, HostTensor.of(all, all.length));
            return node(OnnxOp.pad(), tensor, name, "padded");
        }

        /** Gives what was made last the name of a tensor of the float model. */
        void end(String tensor, String name) {
            for (int i = 0; i < nodes.size(); i++) {
                Node node = nodes.get(i);
                if (node.outputs().contains(tensor)) {
                    nodes.set(i, made(node.op(), node.inputs(), name));
                }
            }
        }

        Bridge build() {
            return new Bridge(nodes, constants);
        }

        private String floats(double[] values, long[] shape, String part) {
            float[] out = new float[values.length];
            for (int i = 0; i < out.length; i++) {
                out[i] = (float) values[i];
            }
            constants.put(name(part), HostTensor.of(out, shape));
            return name(part);
        }

        private String node(OnnxOp op, String tensor, String constant, String part) {
            nodes.add(made(op, List.of(tensor, constant), name(part)));
            return name(part);
        }

        private Node made(Op op, List<String> inputs, String output) {
            return new Node(layer.name(), op, inputs, List.of(output), layer.fileIndex(), layer.fileOutput());
        }
    }
}
