package dev.rebias.op;

import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;

/**
 * Which inputs a layer's kernel elements (taps) meet. Along each spatial dimension, indices that meet the same taps are
 * a class; the inputs are summed by class, and a tap's sum is that of the classes which it meets. So one pass over the
 * data serves all taps.
 */
public final class Taps {
    private final LayerOp op;
    private final long[] shape;
    /** For each spatial dimension the class of every index. */
    private final List<int[]> classes = new ArrayList<>();
    /** For each spatial dimension the taps of every class. */
    private final List<List<BitSet>> met = new ArrayList<>();

    private final long group;
    private final boolean transposed;
    private final long positions;

    /**
     * The taps of a layer on data of a shape.
     *
     * @param shape the weights'
     * @param data with spatial dimensions from the third on, for a convolution; else of any shape, its last dimension
     *     summed over
     */
    public Taps(LayerOp op, long[] shape, long[] data) {
        this.op = op;
        this.shape = shape.clone();
        this.transposed = op instanceof TransposedConvolution;
        long[] output = op.outputShape(data, shape);
        Window window;
        if (op instanceof Convolution c) {
            window = c.window();
            group = c.group();
        } else if (op instanceof TransposedConvolution t) {
            window = t.window();
            group = t.group();
        } else {
            group = 1;
            positions = Shape.elements(output, 0, output.length - 1);
            return;
        }
        positions = Shape.elements(output, 2, output.length) * data[0];
        for (int i = 0; i < window.kernel().size(); i++) {
            dimension(window, i, data, output);
        }
    }

    private void dimension(Window window, int i, long[] data, long[] output) {
        int in = Math.toIntExact(data[i + 2]);
        int[] of = new int[in];
        List<BitSet> kinds = new ArrayList<>();
        for (int index = 0; index < in; index++) {
            BitSet taps = new BitSet();
            for (int t = 0; t < window.kernel().get(i); t++) {
                if (meets(window, i, t, index, in, output[i + 2])) {
                    taps.set(t);
                }
            }
            if (!kinds.contains(taps)) {
                kinds.add(taps);
            }
            of[index] = kinds.indexOf(taps);
        }
        classes.add(of);
        met.add(kinds);
    }

    private boolean meets(Window window, int i, int tap, long index, long in, long out) {
        long stride = window.strides().get(i);
        long offset = tap * window.dilations().get(i);
        if (op instanceof TransposedConvolution t) {
            long o = index * stride + offset - t.begin(i, in);
            return o >= 0 && o < out;
        }
        long o = index + window.begin(i, in) - offset;
        return Math.floorMod(o, stride) == 0 && o >= 0 && o / stride < out;
    }

    /** How many spatial dimensions there are. */
    public int dimensions() {
        return classes.size();
    }

    /** The output positions, over all samples. */
    public long positions() {
        return positions;
    }

    /** The class of an index along a spatial dimension. */
    public int kind(int dimension, int index) {
        return classes.get(dimension)[index];
    }

    /** How many classes a spatial dimension's indices fall into. */
    public int kinds(int dimension) {
        return met.get(dimension).size();
    }

    /** How many combinations of classes there are. */
    public int combinations() {
        int n = 1;
        for (List<BitSet> kinds : met) {
            n *= kinds.size();
        }
        return n;
    }

    /**
     * For each output channel, the sum over samples and positions of what a layer with these weights makes of the data.
     *
     * @param sums [combinations, input channels]: for each combination of classes (the last dimension's running
     *     fastest) and input channel the sum of the data
     * @param matrix the weights, in the layer's shape
     */
    public double[] outputs(double[] sums, double[] matrix) {
        int kernel = 1;
        int[] extents = new int[met.size()];
        for (int i = 0; i < extents.length; i++) {
            extents[i] = Math.toIntExact(shape[i + 2]);
            kernel *= extents[i];
        }
        int inputs = sums.length / combinations();
        double[] taps = new double[inputs * kernel];
        for (int t = 0; t < kernel; t++) {
            for (int k = 0; k < combinations(); k++) {
                if (meets(t, extents, k)) {
                    for (int c = 0; c < inputs; c++) {
                        taps[c * kernel + t] += sums[k * inputs + c];
                    }
                }
            }
        }
        return product(taps, kernel, matrix);
    }

    private boolean meets(int tap, int[] extents, int combination) {
        int t = tap;
        int k = combination;
        for (int i = extents.length - 1; i >= 0; i--) {
            if (!met.get(i).get(k % met.get(i).size()).get(t % extents[i])) {
                return false;
            }
            t /= extents[i];
            k /= met.get(i).size();
        }
        return true;
    }

    private double[] product(double[] taps, int kernel, double[] matrix) {
        int outputs = op.channels(shape);
        double[] sums = new double[outputs];
        int inputs = taps.length / kernel;
        if (dimensions() == 0) {
            boolean transB = op instanceof Gemm g && g.transB();
            double alpha = op instanceof Gemm g ? g.alpha() : 1;
            for (int c = 0; c < inputs; c++) {
                for (int m = 0; m < outputs; m++) {
                    sums[m] += alpha * taps[c] * matrix[transB ? m * inputs + c : c * outputs + m];
                }
            }
            return sums;
        }
        int in = Math.toIntExact(inputs / group);
        int out = Math.toIntExact(outputs / group);
        for (int m = 0; m < outputs; m++) {
            int first = m / out * in;
            if (!transposed) {
                sums[m] = dot(matrix, m * in * kernel, taps, first * kernel, in * kernel);
                continue;
            }
            for (int c = 0; c < in; c++) {
                sums[m] += dot(matrix, ((first + c) * out + m % out) * kernel, taps, (first + c) * kernel, kernel);
            }
        }
        return sums;
    }

    /** The sum of products of n elements of two arrays, in four parts that do not wait for each other. */
    public static double dot(double[] a, int atA, double[] b, int atB, int n) {
        double s0 = 0;
        double s1 = 0;
        double s2 = 0;
        double s3 = 0;
        int i = 0;
        for (; i + 3 < n; i += 4) {
            s0 += a[atA + i] * b[atB + i];
            s1 += a[atA + i + 1] * b[atB + i + 1];
            s2 += a[atA + i + 2] * b[atB + i + 2];
            s3 += a[atA + i + 3] * b[atB + i + 3];
        }
        for (; i < n; i++) {
            s0 += a[atA + i] * b[atB + i];
        }
        return s0 + s1 + (s2 + s3);
    }

    @Override
    public String toString() {
        return "taps of " + op.type() + Arrays.toString(shape);
    }
}
