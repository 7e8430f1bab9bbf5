package dev.rebias.model;

import dev.rebias.op.Convolution;
import dev.rebias.op.Gemm;
import dev.rebias.op.LayerOp;
import dev.rebias.op.MatMul;
import dev.rebias.op.TransposedConvolution;
import dev.rebias.tensor.Shape;

/**
 * A layer's weights as one row for each output channel, in whatever order the op stores them. Row c holds the weights
 * of an input channel together, taps innermost, so the rows of a Gemm and of the MatMul that computes the same are
 * equal.
 */
final class WeightRows {
    private final int channels;
    private final int length;
    private final int taps;
    private final int inputsPerGroup;
    private final int channelsPerGroup;
    private final boolean transposedConvolution;
    private final boolean channelsInnermost;
    private final double factor;

    private WeightRows(
            int channels,
            int length,
            int taps,
            int channelsPerGroup,
            boolean transposedConvolution,
            boolean channelsInnermost,
            double factor) {
        this.channels = channels;
        this.length = length;
        this.taps = taps;
        this.inputsPerGroup = length / taps;
        this.channelsPerGroup = channelsPerGroup;
        this.transposedConvolution = transposedConvolution;
        this.channelsInnermost = channelsInnermost;
        this.factor = factor;
    }

    /** The rows of weights of that shape. */
    static WeightRows of(LayerOp op, long[] shape) {
        int channels = op.channels(shape);
        int elements = Math.toIntExact(Shape.elements(shape));
        int length = channels == 0 ? 0 : elements / channels;
        int taps = shape.length > 2 ? Math.toIntExact(Shape.elements(shape, 2, shape.length)) : 1;
        if (op instanceof Convolution c) {
            return new WeightRows(channels, length, taps, Math.toIntExact(channels / c.group()), false, false, 1);
        }
        if (op instanceof TransposedConvolution) {
            return new WeightRows(channels, length, taps, Math.toIntExact(shape[1]), true, false, 1);
        }
        if (op instanceof Gemm g) {
            return new WeightRows(channels, length, 1, channels, false, !g.transB(), g.alpha());
        }
        if (op instanceof MatMul) {
            return new WeightRows(channels, length, 1, channels, false, true, 1);
        }
        throw new IllegalArgumentException(op.type() + " has no weights");
    }

    /** How many output channels there are. */
    int channels() {
        return channels;
    }

    /** How many weights each has. */
    int length() {
        return length;
    }

    /** Where a row's k-th weight is stored. */
    int index(int channel, int k) {
        if (transposedConvolution) {
            int input = channel / channelsPerGroup * inputsPerGroup + k / taps;
            return (input * channelsPerGroup + channel % channelsPerGroup) * taps + k % taps;
        }
        return channelsInnermost ? k * channels + channel : channel * length + k;
    }

    /** The output channel of the weight that is stored there. */
    int channel(int index) {
        if (transposedConvolution) {
            int input = index / (channelsPerGroup * taps);
            return input / inputsPerGroup * channelsPerGroup + index / taps % channelsPerGroup;
        }
        return channelsInnermost ? index % channels : index / length;
    }

    /** The input channel that a row's k-th weight meets. */
    int input(int channel, int k) {
        return channel / channelsPerGroup * inputsPerGroup + k / taps;
    }

    /** How many channels the layer's data have. */
    int inputs() {
        return channels / channelsPerGroup * inputsPerGroup;
    }

    /** What the op multiplies all weights by: Gemm's alpha, else 1. */
    double factor() {
        return factor;
    }

    /** The weights in the order of another op that computes the same. */
    double[] reordered(double[] weights, WeightRows to) {
        double[] out = new double[weights.length];
        for (int c = 0; c < channels; c++) {
            for (int k = 0; k < length; k++) {
                out[to.index(c, k)] = weights[index(c, k)] * factor / to.factor;
            }
        }
        return out;
    }

    /** The weights with every row multiplied by a factor. */
    double[] scaled(double[] weights, double[] factors) {
        double[] out = weights.clone();
        for (int c = 0; c < channels; c++) {
            for (int k = 0; k < length; k++) {
                out[index(c, k)] *= factors[c];
            }
        }
        return out;
    }
}
