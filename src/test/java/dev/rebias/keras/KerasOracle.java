package dev.rebias.keras;

import dev.rebias.keras.KerasBuilder.Weight;
import java.util.Arrays;
import java.util.function.DoubleUnaryOperator;

/**
 * What Keras' layers compute, written down a second time: one sample, images as [height, width, channels], in double
 * precision, by the definitions in Keras' documentation and without any of rebias' code.
 */
final class KerasOracle {
    /** One sample's tensor. */
    record Sample(int[] shape, double[] values) {
        static Sample of(int[] shape, DoubleUnaryOperator value) {
            double[] values = new double[Arrays.stream(shape).reduce(1, (a, b) -> a * b)];
            Arrays.setAll(values, i -> value.applyAsDouble(i));
            return new Sample(shape, values);
        }

        int channels() {
            return shape[shape.length - 1];
        }

        double at(int h, int w, int c) {
            return values[(h * shape[1] + w) * shape[2] + c];
        }

        Sample map(DoubleUnaryOperator f) {
            return new Sample(shape, Arrays.stream(values).map(f).toArray());
        }

        /** Each element from its value and its channel. */
        Sample perChannel(ChannelFunction f) {
            double[] out = values.clone();
            for (int i = 0; i < out.length; i++) {
                out[i] = f.of(out[i], i % channels());
            }
            return new Sample(shape, out);
        }

        Sample reshaped(int... newShape) {
            return new Sample(newShape, values);
        }
    }

    @FunctionalInterface
    interface ChannelFunction {
        double of(double x, int channel);
    }

    /** Strides, dilation and padding of a window. */
    record Window(int height, int width, int strideH, int strideW, int dilationH, int dilationW, boolean same) {
        int out(int in, boolean vertical) {
            int stride = vertical ? strideH : strideW;
            int extent = extent(vertical);
            return same ? (in + stride - 1) / stride : (in - extent) / stride + 1;
        }

        int extent(boolean vertical) {
            return vertical ? (height - 1) * dilationH + 1 : (width - 1) * dilationW + 1;
        }

        /** TensorFlow's "same": as much before as behind, the odd one behind. */
        int before(int in, boolean vertical) {
            int stride = vertical ? strideH : strideW;
            return same ? Math.max((out(in, vertical) - 1) * stride + extent(vertical) - in, 0) / 2 : 0;
        }
    }

    private KerasOracle() {}

    /** Kernel [h, w, in / groups, out]. */
    static Sample convolution(Sample x, Window window, Weight kernel, int groups) {
        int inPer = (int) kernel.shape()[2];
        int outs = (int) kernel.shape()[3];
        int oh = window.out(x.shape()[0], true);
        int ow = window.out(x.shape()[1], false);
        double[] y = new double[oh * ow * outs];
        for (int h = 0; h < oh; h++) {
            for (int w = 0; w < ow; w++) {
                for (int o = 0; o < outs; o++) {
                    int group = o / (outs / groups);
                    double sum = 0;
                    for (int i = 0; i < window.height(); i++) {
                        for (int j = 0; j < window.width(); j++) {
                            int sh = h * window.strideH() + i * window.dilationH() - window.before(x.shape()[0], true);
                            int sw = w * window.strideW() + j * window.dilationW() - window.before(x.shape()[1], false);
                            if (sh >= 0 && sh < x.shape()[0] && sw >= 0 && sw < x.shape()[1]) {
                                for (int c = 0; c < inPer; c++) {
                                    int k = ((i * window.width() + j) * inPer + c) * outs + o;
                                    sum += x.at(sh, sw, group * inPer + c) * kernel.values()[k];
                                }
                            }
                        }
                    }
                    y[(h * ow + w) * outs + o] = sum;
                }
            }
        }
        return new Sample(new int[] {oh, ow, outs}, y);
    }

    /**
     * Kernel [h, w, in, multiplier]: the same as a convolution whose kernel is zero but for one input of each output.
     */
    static Sample depthwise(Sample x, Window window, Weight kernel) {
        int in = (int) kernel.shape()[2];
        int multiplier = (int) kernel.shape()[3];
        int taps = window.height() * window.width();
        float[] full = new float[taps * in * in * multiplier];
        for (int t = 0; t < taps; t++) {
            for (int c = 0; c < in; c++) {
                for (int m = 0; m < multiplier; m++) {
                    full[(t * in + c) * in * multiplier + c * multiplier + m] =
                            kernel.values()[(t * in + c) * multiplier + m];
                }
            }
        }
        return convolution(
                x,
                window,
                new Weight(new long[] {window.height(), window.width(), in, (long) in * multiplier}, full),
                1);
    }

    /** The last axis times kernel [in, out]. */
    static Sample dense(Sample x, Weight kernel) {
        int in = x.channels();
        int out = (int) kernel.shape()[1];
        int rows = x.values().length / in;
        double[] y = new double[rows * out];
        for (int r = 0; r < rows; r++) {
            for (int o = 0; o < out; o++) {
                for (int i = 0; i < in; i++) {
                    y[r * out + o] += x.values()[r * in + i] * kernel.values()[i * out + o];
                }
            }
        }
        int[] shape = x.shape().clone();
        shape[shape.length - 1] = out;
        return new Sample(shape, y);
    }

    static Sample pool(Sample x, Window window, boolean average) {
        int oh = window.out(x.shape()[0], true);
        int ow = window.out(x.shape()[1], false);
        int channels = x.channels();
        double[] y = new double[oh * ow * channels];
        for (int o = 0; o < y.length; o++) {
            int c = o % channels;
            double most = Double.NEGATIVE_INFINITY;
            double sum = 0;
            int n = 0;
            for (int i = 0; i < window.height(); i++) {
                for (int j = 0; j < window.width(); j++) {
                    int h = o / channels / ow * window.strideH() + i - window.before(x.shape()[0], true);
                    int w = o / channels % ow * window.strideW() + j - window.before(x.shape()[1], false);
                    if (h >= 0 && h < x.shape()[0] && w >= 0 && w < x.shape()[1]) {
                        most = Math.max(most, x.at(h, w, c));
                        sum += x.at(h, w, c);
                        n++;
                    }
                }
            }
            y[o] = average ? sum / n : most;
        }
        return new Sample(new int[] {oh, ow, channels}, y);
    }

    static Sample padded(Sample x, int top, int bottom, int left, int right) {
        int height = x.shape()[0] + top + bottom;
        int width = x.shape()[1] + left + right;
        double[] y = new double[height * width * x.channels()];
        for (int h = 0; h < x.shape()[0]; h++) {
            for (int w = 0; w < x.shape()[1]; w++) {
                for (int c = 0; c < x.channels(); c++) {
                    y[((h + top) * width + w + left) * x.channels() + c] = x.at(h, w, c);
                }
            }
        }
        return new Sample(new int[] {height, width, x.channels()}, y);
    }

    /** Over the last axis. */
    static Sample softmax(Sample x) {
        double[] y = x.values().clone();
        int n = x.channels();
        for (int from = 0; from < y.length; from += n) {
            double sum = 0;
            for (int i = from; i < from + n; i++) {
                y[i] = Math.exp(y[i]);
                sum += y[i];
            }
            for (int i = from; i < from + n; i++) {
                y[i] /= sum;
            }
        }
        return new Sample(x.shape(), y);
    }

    /** Keras' documentation: max_value from there on; x from the threshold on; else negative_slope (x - threshold). */
    static double relu(double x, double most, double slope, double threshold) {
        return x >= most ? most : x >= threshold ? x : slope * (x - threshold);
    }

    static Sample joined(Sample a, Sample b) {
        int[] shape = a.shape().clone();
        int n = a.channels();
        int m = b.channels();
        shape[shape.length - 1] = n + m;
        double[] y = new double[a.values().length + b.values().length];
        for (int i = 0; i < y.length; i++) {
            int row = i / (n + m);
            int c = i % (n + m);
            y[i] = c < n ? a.values()[row * n + c] : b.values()[row * m + c - n];
        }
        return new Sample(shape, y);
    }
}
