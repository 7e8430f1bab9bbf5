package dev.rebias.model;

import dev.rebias.op.Convolution;
import dev.rebias.op.LayerOp;
import dev.rebias.tensor.ElementType;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * A layer of one model: a node with constant weights, together with what is corrected as one with it (the Add that holds a MatMul's bias,
 * a folded BatchNormalization): {@code output = op(data, weights) + bias}.
 *
 * @param name the node's name
 * @param op the operation
 * @param data the tensor it is applied to
 * @param weightShape the shape of the weights
 * @param weights as multiplied by (dequantised, BatchNormalization folded in), row-major, in double precision
 * @param integers where data and weights are both dequantised integers, these; else empty
 * @param bias one value per output channel, zeros where there is none
 * @param first where the layer is a run of two nodes corrected as one, the first of them, whose output is {@code data}
 * @param output the pre-activation tensor, at which errors are measured
 * @param fileOutput the output of the node in the file, the name under which users know the layer's result
 * @param nodes the graph's nodes that the layer stands for, its own first
 */
public record Layer(
        String name,
        LayerOp op,
        String data,
        long[] weightShape,
        double[] weights,
        Optional<Integers> integers,
        double[] bias,
        Optional<First> first,
        String output,
        String fileOutput,
        List<Node> nodes) {
    public Layer {
        nodes = List.copyOf(nodes);
    }

    /**
     * Data and weights of a layer as integers: {@code op(data, weights) = op(q - zero, steps) * scale[c]}.
     *
     * @param data the tensor of the data's integers q; behind the first of two nodes, whose sums they are, a name of their own that no tensor of the file has
     * @param type UINT8 or INT8; FLOAT behind the first of two nodes, and for pixels
     * @param zero their zero point
     * @param steps the weights' integers (zero point subtracted), row-major
     * @param dataScale the data's scale
     * @param scale the data's scale times the weights', per output channel
     */
    public record Integers(
            String data, ElementType type, long zero, double[] steps, double dataScale, double[] scale) {}

    /**
     * The first node of a run of two: the depthwise half of a separable convolution. It has no bias.
     *
     * @param op its operation
     * @param data the tensor it is applied to, the input of the whole layer
     * @param weightShape the shape of its weights
     * @param weights row-major
     * @param integers where data and weights are both dequantised integers, and the output has one scale, these; else empty
     */
    public record First(
            Convolution op, String data, long[] weightShape, double[] weights, Optional<Integers> integers) {}

    public int channels() {
        return bias.length;
    }

    /** The shape in which the bias broadcasts along the output's channels: [channels, 1, ..], and [channels] where they are the last axis. */
    public long[] biasShape() {
        int rank = weightShape.length;
        long[] shape = new long[rank - op.channelAxis(rank)];
        Arrays.fill(shape, 1);
        shape[0] = channels();
        return shape;
    }

    /** The node with the weights. */
    public Node node() {
        return nodes.get(0);
    }
}
