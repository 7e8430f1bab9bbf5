package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.NodeProto;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** Pooling, reductions and resizing. */
final class NaivePooling {
    private NaivePooling() {}

    /** MaxPool, AveragePool. */
    static NaiveTensor pool(NodeProto node, NaiveTensor x) {
        NaiveWindow window = new NaiveWindow(node, x, NaiveNetwork.ints(node, "kernel_shape"));
        boolean max = node.getOpType().equals("MaxPool");
        boolean countPadding = NaiveNetwork.integer(node, "count_include_pad", 0) != 0;
        int inSize = x.span(2, x.rank());
        int outSize = window.positions();
        NaiveTensor y = NaiveTensor.zeros(window.shape(x.shape()[0], x.shape()[1]));
        for (int i = 0; i < y.values().length; i++) {
            double best = Double.NEGATIVE_INFINITY;
            double sum = 0;
            int counted = 0;
            for (int t = 0; t < window.taps(); t++) {
                int source = window.source(i % outSize, t);
                if (source >= 0) {
                    double v = x.values()[i / outSize * inSize + source];
                    best = Math.max(best, v);
                    sum += v;
                    counted++;
                } else if (source == -1 && countPadding) {
                    counted++;
                }
            }
            y.values()[i] = max ? best : sum / counted;
        }
        return y;
    }

    /** GlobalAveragePool, GlobalMaxPool: over all axes from 2 on. */
    static NaiveTensor global(NodeProto node, NaiveTensor x) {
        return reduce(
                node.getOpType().equals("GlobalMaxPool"),
                node.getOpType().equals("GlobalAveragePool"),
                x,
                IntStream.range(2, x.rank()).toArray());
    }

    /** ReduceMean, ReduceSum, ReduceMax; the axes are an attribute or, of later opsets, an input. */
    static NaiveTensor reduce(NodeProto node, List<NaiveTensor> in) {
        NaiveTensor x = in.get(0);
        int[] written =
                in.size() > 1 && in.get(1) != null ? in.get(1).toInts() : NaiveNetwork.ints(node, "axes", new int[0]);
        if (written.length == 0 && NaiveNetwork.integer(node, "noop_with_empty_axes", 0) != 0) {
            return x;
        }
        int[] axes = written.length == 0
                ? IntStream.range(0, x.rank()).toArray()
                : Arrays.stream(written).map(x::axis).toArray();
        NaiveTensor y =
                reduce(node.getOpType().equals("ReduceMax"), node.getOpType().equals("ReduceMean"), x, axes);
        if (NaiveNetwork.integer(node, "keepdims", 1) != 0) {
            return y;
        }
        return y.reshape(IntStream.range(0, x.rank())
                .filter(d -> Arrays.stream(axes).noneMatch(a -> a == d))
                .map(d -> x.shape()[d])
                .toArray());
    }

    /** The reduced axes stay with size 1. */
    private static NaiveTensor reduce(boolean max, boolean mean, NaiveTensor x, int... axes) {
        int[] shape = x.shape().clone();
        for (int a : axes) {
            shape[a] = 1;
        }
        double[] y = new double[NaiveTensor.size(shape)];
        Arrays.fill(y, max ? Double.NEGATIVE_INFINITY : 0);
        for (int i = 0; i < x.values().length; i++) {
            int to = NaiveOps.source(i, x.shape(), shape);
            y[to] = max ? Math.max(y[to], x.values()[i]) : y[to] + x.values()[i];
        }
        double divisor = mean ? (double) x.values().length / y.length : 1;
        return NaiveOps.map(new NaiveTensor(x.type(), y, shape), v -> v / divisor);
    }

    /**
     * Resize (inputs x, scales in opset 10; x, region, scales, sizes since) and Upsample (scales an attribute before
     * opset 9).
     */
    static NaiveTensor resize(NodeProto node, List<NaiveTensor> in, long opset) {
        boolean old = node.getOpType().equals("Upsample") || opset < 11;
        NaiveTensor y = in.get(0);
        double[] scales = scales(node, in, old);
        for (int d = 0; d < y.rank(); d++) {
            int n = y.shape()[d];
            boolean sized = scales.length == 0;
            int size = sized ? in.get(3).toInts()[d] : (int) Math.floor(n * scales[d]);
            double scale = sized ? (double) size / n : scales[d];
            if (size == n && scale == 1) {
                continue;
            }
            y = resize(node, y, d, size, scale, old);
        }
        return y;
    }

    private static double[] scales(NodeProto node, List<NaiveTensor> in, boolean old) {
        int index = old ? 1 : 2;
        if (in.size() > index && in.get(index) != null) {
            return in.get(index).values();
        }
        return NaiveNetwork.find(node, "scales")
                .map(a -> a.getFloatsList().stream()
                        .mapToDouble(Float::doubleValue)
                        .toArray())
                .orElse(new double[0]);
    }

    private static NaiveTensor resize(NodeProto node, NaiveTensor x, int axis, int size, double scale, boolean old) {
        String coordinates =
                old ? "asymmetric" : NaiveNetwork.text(node, "coordinate_transformation_mode", "half_pixel");
        String rounding = old ? "floor" : NaiveNetwork.text(node, "nearest_mode", "round_prefer_floor");
        String mode = NaiveNetwork.text(node, "mode", "nearest");
        if (old && mode.equals("nearest") && scale < 1) {
            throw new IllegalArgumentException(node.getName() + ": opset 10 leaves open how shrinking rounds");
        }
        int last = x.shape()[axis] - 1;
        List<Double> at = new ArrayList<>();
        for (int i = 0; i < size; i++) {
            double source = coordinate(coordinates, i, last + 1, size, scale);
            at.add(Math.max(0, Math.min(last, mode.equals("nearest") ? round(rounding, source) : source)));
        }
        int[] left = at.stream().mapToInt(v -> (int) Math.floor(v)).toArray();
        NaiveTensor below = NaiveShapes.take(x, axis, 0, left);
        if (mode.equals("nearest")) {
            return below;
        }
        if (!mode.equals("linear")) {
            throw new IllegalArgumentException(node.getName() + ": mode " + mode);
        }
        int[] right = Arrays.stream(left).map(k -> Math.min(k + 1, last)).toArray();
        NaiveTensor above = NaiveShapes.take(x, axis, 0, right);
        int inner = x.span(axis + 1, x.rank());
        NaiveTensor y = NaiveTensor.zeros(below.shape());
        for (int i = 0; i < y.values().length; i++) {
            int k = i / inner % size;
            double share = at.get(k) - left[k];
            y.values()[i] = (1 - share) * below.values()[i] + share * above.values()[i];
        }
        return y;
    }

    private static double coordinate(String mode, int i, int from, int to, double scale) {
        return switch (mode) {
            case "asymmetric" -> i / scale;
            case "half_pixel" -> (i + 0.5) / scale - 0.5;
            case "pytorch_half_pixel" -> to > 1 ? (i + 0.5) / scale - 0.5 : 0;
            case "align_corners" -> to > 1 ? i * (from - 1.0) / (to - 1.0) : 0;
            default -> throw new IllegalArgumentException("Resize with coordinates " + mode);
        };
    }

    private static double round(String mode, double v) {
        return switch (mode) {
            case "floor" -> Math.floor(v);
            case "ceil" -> Math.ceil(v);
            case "round_prefer_floor" -> Math.ceil(v - 0.5);
            case "round_prefer_ceil" -> Math.floor(v + 0.5);
            default -> throw new IllegalArgumentException("Resize rounding " + mode);
        };
    }
}
