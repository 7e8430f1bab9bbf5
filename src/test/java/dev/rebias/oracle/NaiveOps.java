package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.NodeProto;
import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleBinaryOperator;
import java.util.function.DoubleUnaryOperator;

/** The operations without weights that the test networks use. */
final class NaiveOps {
    private NaiveOps() {}

    static NaiveTensor map(NaiveTensor x, DoubleUnaryOperator f) {
        return new NaiveTensor(Arrays.stream(x.values()).map(f).toArray(), x.shape());
    }

    /** Elementwise with broadcasting. */
    static NaiveTensor binary(NaiveTensor a, NaiveTensor b, DoubleBinaryOperator f) {
        int rank = Math.max(a.rank(), b.rank());
        int[] shape = new int[rank];
        for (int d = 0; d < rank; d++) {
            shape[d] = Math.max(dimension(a, d - rank + a.rank()), dimension(b, d - rank + b.rank()));
        }
        NaiveTensor y = NaiveTensor.zeros(shape);
        for (int i = 0; i < y.values().length; i++) {
            y.values()[i] = f.applyAsDouble(a.values()[broadcast(i, shape, a)], b.values()[broadcast(i, shape, b)]);
        }
        return y;
    }

    private static int dimension(NaiveTensor t, int d) {
        return d < 0 ? 1 : t.shape()[d];
    }

    private static int broadcast(int index, int[] shape, NaiveTensor t) {
        int at = 0;
        int stride = 1;
        for (int d = shape.length - 1, e = t.rank() - 1; e >= 0; d--, e--) {
            int coordinate = index % shape[d];
            index /= shape[d];
            at += (t.shape()[e] == 1 ? 0 : coordinate) * stride;
            stride *= t.shape()[e];
        }
        return at;
    }

    static NaiveTensor transpose(NaiveTensor x, int... perm) {
        int rank = x.rank();
        int[] shape = new int[rank];
        for (int d = 0; d < rank; d++) {
            shape[d] = x.shape()[perm[d]];
        }
        NaiveTensor y = NaiveTensor.zeros(shape);
        int[] from = new int[rank];
        for (int i = 0; i < y.values().length; i++) {
            int index = i;
            for (int d = rank - 1; d >= 0; d--) {
                from[perm[d]] = index % shape[d];
                index /= shape[d];
            }
            int at = 0;
            for (int d = 0; d < rank; d++) {
                at = at * x.shape()[d] + from[d];
            }
            y.values()[i] = x.values()[at];
        }
        return y;
    }

    static NaiveTensor concat(List<NaiveTensor> parts, int axis) {
        NaiveTensor first = parts.get(0);
        int a = axis < 0 ? axis + first.rank() : axis;
        int[] shape = first.shape().clone();
        shape[a] = parts.stream().mapToInt(p -> p.shape()[a]).sum();
        NaiveTensor y = NaiveTensor.zeros(shape);
        int outer = first.span(0, a);
        int at = 0;
        for (int o = 0; o < outer; o++) {
            for (NaiveTensor part : parts) {
                int run = part.span(a, part.rank());
                System.arraycopy(part.values(), o * run, y.values(), at, run);
                at += run;
            }
        }
        return y;
    }

    /** x[..., start:end:step, ...] along one axis. */
    static NaiveTensor slice(NaiveTensor x, int axis, int start, int end, int step) {
        int a = axis < 0 ? axis + x.rank() : axis;
        int n = x.shape()[a];
        int from = Math.max(0, Math.min(n, start < 0 ? start + n : start));
        int to = Math.max(0, Math.min(n, end < 0 ? end + n : end));
        int[] shape = x.shape().clone();
        shape[a] = Math.max(0, (to - from + step - 1) / step);
        NaiveTensor y = NaiveTensor.zeros(shape);
        int inner = x.span(a + 1, x.rank());
        for (int i = 0; i < y.values().length; i++) {
            int k = i / inner % shape[a];
            int o = i / inner / shape[a];
            y.values()[i] = x.values()[(o * n + from + k * step) * inner + i % inner];
        }
        return y;
    }

    static NaiveTensor softmax(NaiveTensor x, int axis) {
        int a = axis < 0 ? axis + x.rank() : axis;
        int n = x.shape()[a];
        int inner = x.span(a + 1, x.rank());
        NaiveTensor y = NaiveTensor.zeros(x.shape());
        for (int o = 0; o < x.span(0, a); o++) {
            for (int i = 0; i < inner; i++) {
                double max = Double.NEGATIVE_INFINITY;
                for (int k = 0; k < n; k++) {
                    max = Math.max(max, x.values()[(o * n + k) * inner + i]);
                }
                double sum = 0;
                for (int k = 0; k < n; k++) {
                    sum += Math.exp(x.values()[(o * n + k) * inner + i] - max);
                }
                for (int k = 0; k < n; k++) {
                    int at = (o * n + k) * inner + i;
                    y.values()[at] = Math.exp(x.values()[at] - max) / sum;
                }
            }
        }
        return y;
    }

    /** The mean over one axis, which stays with size 1. */
    static NaiveTensor mean(NaiveTensor x, int axis) {
        int a = axis < 0 ? axis + x.rank() : axis;
        int n = x.shape()[a];
        int[] shape = x.shape().clone();
        shape[a] = 1;
        int inner = x.span(a + 1, x.rank());
        NaiveTensor y = NaiveTensor.zeros(shape);
        for (int i = 0; i < y.values().length; i++) {
            double sum = 0;
            for (int k = 0; k < n; k++) {
                sum += x.values()[(i / inner * n + k) * inner + i % inner];
            }
            y.values()[i] = sum / n;
        }
        return y;
    }

    /** MaxPool and AveragePool over two dimensions, without padding and without ceil_mode. */
    static NaiveTensor pool(NodeProto node, NaiveTensor x, boolean max) {
        int[] kernel = NaiveNetwork.ints(node, "kernel_shape", null);
        int[] strides = NaiveNetwork.ints(node, "strides", new int[] {1, 1});
        if (Arrays.stream(NaiveNetwork.ints(node, "pads", new int[4])).anyMatch(p -> p != 0)
                || NaiveNetwork.integer(node, "ceil_mode", 0) != 0) {
            throw new IllegalArgumentException("padded pooling: " + node.getName());
        }
        int h = x.shape()[2];
        int w = x.shape()[3];
        int oh = (h - kernel[0]) / strides[0] + 1;
        int ow = (w - kernel[1]) / strides[1] + 1;
        NaiveTensor y = NaiveTensor.zeros(x.shape()[0], x.shape()[1], oh, ow);
        for (int i = 0; i < y.values().length; i++) {
            double best = Double.NEGATIVE_INFINITY;
            double sum = 0;
            for (int k = 0; k < kernel[0] * kernel[1]; k++) {
                int row = i / ow % oh * strides[0] + k / kernel[1];
                int column = i % ow * strides[1] + k % kernel[1];
                double v = x.values()[(i / ow / oh * h + row) * w + column];
                best = Math.max(best, v);
                sum += v;
            }
            y.values()[i] = max ? best : sum / (kernel[0] * kernel[1]);
        }
        return y;
    }

    /** Nearest neighbour, asymmetric coordinates, rounding down: out[i] = in[floor(i / scale)]. */
    static NaiveTensor resize(NodeProto node, NaiveTensor x, double[] scales) {
        if (!NaiveNetwork.text(node, "mode", "nearest").equals("nearest")
                || !NaiveNetwork.text(node, "coordinate_transformation_mode", "half_pixel")
                        .equals("asymmetric")
                || !NaiveNetwork.text(node, "nearest_mode", "round_prefer_floor")
                        .equals("floor")) {
            throw new IllegalArgumentException("Resize of another mode: " + node.getName());
        }
        NaiveTensor y = x;
        for (int d = 0; d < scales.length; d++) {
            int n = y.shape()[d];
            int[] shape = y.shape().clone();
            shape[d] = (int) Math.floor(n * scales[d]);
            int inner = y.span(d + 1, y.rank());
            NaiveTensor next = NaiveTensor.zeros(shape);
            for (int i = 0; i < next.values().length; i++) {
                int k = (int) Math.floor(i / inner % shape[d] / scales[d]);
                next.values()[i] = y.values()[(i / inner / shape[d] * n + k) * inner + i % inner];
            }
            y = next;
        }
        return y;
    }
}
