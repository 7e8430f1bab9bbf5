package dev.rebias.op;

import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * A layer as a product of matrices: for each output position and group a row of what the weights of one output channel
 * meet there, padding included as zeros. Within a row, taps (the kernel's elements) come one after the other, and the
 * input channels of the group in each tap. An output channel's weights are a column in the same order.
 */
public final class Unfolding {
    private final LayerOp op;
    private final long[] weights;
    private final int channels;
    private final int groups;
    private final int inputs;
    private final int taps;

    private Unfolding(LayerOp op, long[] weights, int groups, int inputs, int taps) {
        this.op = op;
        this.weights = weights.clone();
        this.channels = op.channels(weights);
        this.groups = groups;
        this.inputs = inputs;
        this.taps = taps;
    }

    /** The rows of a layer with weights of that shape; empty for a Gemm whose data are transposed. */
    public static Optional<Unfolding> of(LayerOp op, long[] weights) {
        int taps = weights.length > 2 ? Math.toIntExact(Shape.elements(weights, 2, weights.length)) : 1;
        if (op instanceof Convolution c) {
            return Optional.of(
                    new Unfolding(op, weights, Math.toIntExact(c.group()), Math.toIntExact(weights[1]), taps));
        }
        if (op instanceof TransposedConvolution t) {
            return Optional.of(new Unfolding(
                    op, weights, Math.toIntExact(t.group()), Math.toIntExact(weights[0] / t.group()), taps));
        }
        if (op instanceof Gemm g) {
            return g.transA()
                    ? Optional.empty()
                    : Optional.of(new Unfolding(op, weights, 1, Math.toIntExact(weights[g.transB() ? 1 : 0]), 1));
        }
        return Optional.of(new Unfolding(op, weights, 1, Math.toIntExact(weights[0]), 1));
    }

    /** How many groups of output channels meet rows of their own. */
    public int groups() {
        return groups;
    }

    /** How many output channels there are. */
    public int channels() {
        return channels;
    }

    /** How many of them a group has. */
    public int channelsPerGroup() {
        return channels / groups;
    }

    /** How many input channels a group has. */
    public int inputs() {
        return inputs;
    }

    /** How many elements the kernel has. */
    public int taps() {
        return taps;
    }

    /** How long a row is. */
    public int length() {
        return taps * inputs;
    }

    /** Whether each group has one input channel, so that what belongs to neighbouring groups lies side by side. */
    public boolean isDepthwise() {
        return inputs == 1 && groups > 1;
    }

    /** What the op multiplies its weights by beside the data: a Gemm's alpha. */
    public double factor() {
        return op instanceof Gemm g ? g.alpha() : 1;
    }

    /** Where the weight is stored that an output channel has at a place of its row. */
    public int weight(int channel, int place) {
        int tap = place / inputs;
        int input = place % inputs;
        if (op instanceof TransposedConvolution) {
            int perGroup = channels / groups;
            return ((channel / perGroup * inputs + input) * perGroup + channel % perGroup) * taps + tap;
        }
        boolean innermost = op instanceof MatMul || (op instanceof Gemm g && !g.transB());
        return innermost ? input * channels + channel : (channel * inputs + input) * taps + tap;
    }

    /** An output channel's weights in the order of its rows. */
    public double[] row(double[] stored, int channel) {
        double[] row = new double[length()];
        Arrays.setAll(row, k -> stored[weight(channel, k)]);
        return row;
    }

    /**
     * Where the elements of rows come from, for data of one shape.
     *
     * @param positions how many output positions an entry of axis 0 has
     * @param size how many positions of data it has
     * @param sources for each output position and tap the position of the data, or -1 for padding; empty where each
     *     output position meets the data's of the same number
     */
    public record Places(int positions, int size, int[] sources) {}

    /**
     * The places of data of that shape.
     *
     * @throws dev.rebias.error.UnsupportedException if they do not fit the weights
     */
    public Places places(long[] data) {
        long[] output = op.outputShape(data, weights);
        Window window;
        if (op instanceof Convolution c) {
            window = c.window();
        } else if (op instanceof TransposedConvolution t) {
            window = t.window();
        } else {
            int rows = Math.toIntExact(Shape.elements(data, 1, data.length) / inputs);
            return new Places(rows, rows, new int[0]);
        }
        int size = Math.toIntExact(Shape.elements(data, 2, data.length));
        int positions = Math.toIntExact(Shape.elements(output, 2, output.length));
        if (op instanceof Convolution && window.isPointwise()) {
            return new Places(positions, size, new int[0]);
        }
        List<int[][]> dimensions = new ArrayList<>();
        for (int i = 0; i < window.kernel().size(); i++) {
            dimensions.add(dimension(window, i, data[i + 2], output[i + 2]));
        }
        int[] sources = new int[Math.multiplyExact(positions, taps)];
        for (int p = 0; p < positions; p++) {
            for (int t = 0; t < taps; t++) {
                sources[p * taps + t] = source(dimensions, data, output, p, t);
            }
        }
        return new Places(positions, size, sources);
    }

    private int source(List<int[][]> dimensions, long[] data, long[] output, int position, int tap) {
        int p = position;
        int t = tap;
        int source = 0;
        int stride = 1;
        for (int i = dimensions.size() - 1; i >= 0; i--) {
            int extent = Math.toIntExact(output[i + 2]);
            int kernel = Math.toIntExact(weights[i + 2]);
            int in = dimensions.get(i)[p % extent][t % kernel];
            if (in < 0) {
                return -1;
            }
            source += in * stride;
            stride *= Math.toIntExact(data[i + 2]);
            p /= extent;
            t /= kernel;
        }
        return source;
    }

    /** For each output index and tap along a spatial dimension the data's index, or -1. */
    private int[][] dimension(Window window, int i, long in, long out) {
        int kernel = Math.toIntExact(window.kernel().get(i));
        long stride = window.strides().get(i);
        int[][] sources = new int[Math.toIntExact(out)][kernel];
        for (int o = 0; o < out; o++) {
            for (int t = 0; t < kernel; t++) {
                long offset = t * window.dilations().get(i);
                long index;
                if (op instanceof TransposedConvolution transposed) {
                    long scaled = o + transposed.begin(i, in) - offset;
                    index = Math.floorMod(scaled, stride) == 0 ? Math.floorDiv(scaled, stride) : -1;
                } else {
                    index = o * stride + offset - window.begin(i, in);
                }
                sources[o][t] = index >= 0 && index < in ? (int) index : -1;
            }
        }
        return sources;
    }
}
