package dev.rebias.model;

import dev.rebias.op.Convolution;
import dev.rebias.op.LayerOp;
import dev.rebias.tensor.ElementType;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * A layer of one model: a node with constant weights, together with the nodes behind it that are read as part of it
 * (the Add that holds its bias, a folded BatchNormalization): {@code output = op(data, weights) + bias}.
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
 * @param apart where the bias is kept apart from the layer's own node, the Add or Sub that holds it. If it is none of
 *     {@code nodes}, it lies behind the output's quantiser, {@code bias} is its constant, and {@code output} does not
 *     have the bias in it yet
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
        List<Node> nodes,
        Optional<Apart> apart) {
    public Layer {
        nodes = List.copyOf(nodes);
    }

    /**
     * The node that holds a bias.
     *
     * @param node an Add or Sub of a tensor and a constant
     * @param operand the position of the constant among its inputs
     * @param sign what the bias is multiplied by in the constant: 1, or -1 where the constant is subtracted
     */
    public record Apart(Node node, int operand, int sign) {
        /** The tensor that the bias is added to. */
        public String input() {
            return node.inputs().get(1 - operand);
        }
    }

    /**
     * Data and weights of a layer as integers: {@code op(data, weights) = op(q - zero, steps) * scale[c]}.
     *
     * @param data the tensor of the data's integers q; behind the first of two nodes, whose sums they are, a name of
     *     their own that no tensor of the file has
     * @param type UINT8 or INT8; FLOAT behind the first of two nodes, and for pixels
     * @param zero their zero point
     * @param steps the weights' integers (zero point subtracted), row-major
     * @param dataScale the data's scale
     * @param scale the data's scale times the weights', per output channel
     */
    public record Integers(String data, ElementType type, long zero, double[] steps, double dataScale, double[] scale) {
        /** The same with every output channel multiplied by a factor. */
        Integers scaled(double[] factors) {
            double[] scaled = scale.clone();
            for (int c = 0; c < scaled.length; c++) {
                scaled[c] *= factors[c];
            }
            return new Integers(data, type, zero, steps, dataScale, scaled);
        }
    }

    /**
     * The first node of a run of two: the depthwise half of a separable convolution. It has no bias.
     *
     * @param op its operation
     * @param data the tensor it is applied to, the input of the whole layer
     * @param weightShape the shape of its weights
     * @param weights row-major
     * @param integers where data and weights are both dequantised integers, and the output has one scale, these; else
     *     empty
     */
    public record First(
            Convolution op, String data, long[] weightShape, double[] weights, Optional<Integers> integers) {}

    public int channels() {
        return bias.length;
    }

    /**
     * The shape in which the bias broadcasts along the output's channels: [channels, 1, ..], and [channels] where they
     * are the last axis.
     */
    public long[] biasShape() {
        int rank = weightShape.length;
        long[] shape = new long[rank - op.channelAxis(rank)];
        Arrays.fill(shape, 1);
        shape[0] = channels();
        return shape;
    }

    Layer withOp(LayerOp newOp, long[] newShape, double[] newWeights) {
        return new Layer(
                name, newOp, data, newShape, newWeights, integers, bias, first, output, fileOutput, nodes, apart);
    }

    Layer withWeights(double[] newWeights, double[] newBias) {
        return new Layer(
                name, op, data, weightShape, newWeights, integers, newBias, first, output, fileOutput, nodes, apart);
    }

    Layer withData(String newData) {
        return new Layer(
                name, op, newData, weightShape, weights, integers, bias, first, output, fileOutput, nodes, apart);
    }

    Layer withOutput(String newOutput) {
        return new Layer(
                name, op, data, weightShape, weights, integers, bias, first, newOutput, fileOutput, nodes, apart);
    }

    /**
     * The tensor that has the corrected values; where the bias comes behind the quantiser, a name that no tensor has.
     */
    public String correctedOutput() {
        return behindQuantiser().isPresent() ? output + "\nwith its bias" : output;
    }

    /** The node behind the output's quantiser that holds the bias, where it is there. */
    public Optional<Node> behindQuantiser() {
        return apart.map(Apart::node).filter(node -> !nodes.contains(node));
    }

    /** The node with the weights. */
    public Node node() {
        return nodes.get(0);
    }
}
