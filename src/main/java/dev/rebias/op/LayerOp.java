package dev.rebias.op;

import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.Shape;

/**
 * An operation with weights: {@code y = op(x, W) + b}, linear in the weights W, with one bias value per output channel.
 *
 * <p>Its operands are always three: the data x, the weights W and a bias of shape [channels], which may be absent.
 */
public sealed interface LayerOp extends Op permits Convolution, TransposedConvolution, Gemm, MatMul {
    /** The number of output channels that weights of this shape give. */
    int channels(long[] weightShape);

    /**
     * The axis of the weights along which output channels lie, for weights of this rank (grouped transposed
     * convolutions: see there).
     */
    int weightChannelAxis(int weightRank);

    /** The axis of the output along which output channels lie, for an output of this rank. */
    int channelAxis(int outputRank);

    /**
     * The shape of the output.
     *
     * @throws dev.rebias.error.UnsupportedException if data and weights do not fit each other
     */
    long[] outputShape(long[] dataShape, long[] weightShape);

    /** How many products of a value and a weight are added up, those with padding included. */
    default long multiplications(long[] dataShape, long[] weightShape) {
        return Shape.elements(outputShape(dataShape, weightShape))
                * (Shape.elements(weightShape) / Math.max(1, channels(weightShape)));
    }

    /**
     * What a layer works on has elements, unless there are no samples.
     *
     * @throws dev.rebias.error.UnsupportedException if a sample or the weights are empty
     */
    static void requireElements(String type, long[] data, long[] weights) {
        if (data.length == 0 || Shape.elements(data, 1, data.length) == 0 || Shape.elements(weights) == 0) {
            throw new UnsupportedException(type + " with weights " + Shape.text(weights) + " on data of shape "
                    + Shape.text(data) + " has no elements to work on");
        }
    }

    /**
     * The ONNX node that computes {@code op(data, weights) + bias}; {@link MatMul}'s node takes no bias, an Add follows
     * it.
     */
    NodeProto toNode(String data, String weights, String bias, String output);
}
