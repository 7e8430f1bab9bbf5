package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleBinaryOperator;
import java.util.function.DoubleUnaryOperator;

/** The operations that work on every element alike, and those that normalise along axes. */
final class NaiveOps {
    private NaiveOps() {}

    static NaiveTensor map(NaiveTensor x, DoubleUnaryOperator f) {
        return new NaiveTensor(x.type(), Arrays.stream(x.values()).map(f).toArray(), x.shape());
    }

    /** Elementwise with broadcasting. */
    static NaiveTensor binary(NaiveTensor a, NaiveTensor b, DoubleBinaryOperator f) {
        int[] shape = broadcast(a.shape(), b.shape());
        double[] y = new double[NaiveTensor.size(shape)];
        for (int i = 0; i < y.length; i++) {
            y[i] = f.applyAsDouble(a.values()[source(i, shape, a.shape())], b.values()[source(i, shape, b.shape())]);
        }
        return new NaiveTensor(a.type(), y, shape);
    }

    /** The shape that two shapes broadcast to. */
    static int[] broadcast(int[] a, int... b) {
        int rank = Math.max(a.length, b.length);
        int[] shape = new int[rank];
        for (int d = 0; d < rank; d++) {
            int ofA = d < rank - a.length ? 1 : a[d - rank + a.length];
            int ofB = d < rank - b.length ? 1 : b[d - rank + b.length];
            if (ofA != ofB && ofA != 1 && ofB != 1) {
                throw new IllegalArgumentException(Arrays.toString(a) + " does not broadcast to " + Arrays.toString(b));
            }
            shape[d] = ofA == 1 ? ofB : ofA;
        }
        return shape;
    }

    /** Where element i of a broadcast shape comes from in a tensor of the shape from. */
    static int source(int i, int[] shape, int... from) {
        int at = 0;
        int stride = 1;
        for (int d = shape.length - 1, e = from.length - 1; e >= 0; d--, e--) {
            int coordinate = i % shape[d];
            i /= shape[d];
            at += (from[e] == 1 ? 0 : coordinate) * stride;
            stride *= from[e];
        }
        return at;
    }

    static NaiveTensor unary(NodeProto node, NaiveTensor x) {
        return switch (node.getOpType()) {
            case "Relu" -> map(x, v -> Math.max(0, v));
            case "LeakyRelu" -> {
                double alpha = NaiveNetwork.real(node, "alpha", 0.01f);
                yield map(x, v -> v < 0 ? alpha * v : v);
            }
            case "HardSigmoid" -> {
                double alpha = NaiveNetwork.real(node, "alpha", 0.2f);
                double beta = NaiveNetwork.real(node, "beta", 0.5f);
                yield map(x, v -> Math.max(0, Math.min(1, alpha * v + beta)));
            }
            case "HardSwish" -> map(x, v -> v * Math.max(0, Math.min(1, v / 6 + 0.5)));
            case "Sigmoid" -> map(x, v -> 1 / (1 + Math.exp(-v)));
            case "Tanh" -> map(x, Math::tanh);
            case "Erf" -> map(x, NaiveOps::erf);
            case "Exp" -> map(x, Math::exp);
            case "Log" -> map(x, Math::log);
            case "Sqrt" -> map(x, Math::sqrt);
            case "Reciprocal" -> map(x, v -> 1 / v);
            case "Floor" -> map(x, Math::floor);
            case "Ceil" -> map(x, Math::ceil);
            case "Round" -> map(x, Math::rint);
            case "Neg" -> map(x, v -> -v);
            case "Abs" -> map(x, Math::abs);
            case "Not" -> map(x, v -> 1 - v);
            default -> throw new IllegalArgumentException(node.getOpType());
        };
    }

    /** Operations of two operands; Min, Max take any number. */
    static NaiveTensor binary(NodeProto node, List<NaiveTensor> in) {
        boolean whole = in.get(0).isInteger();
        DoubleBinaryOperator f =
                switch (node.getOpType()) {
                    case "Add" -> Double::sum;
                    case "Sub" -> (a, b) -> a - b;
                    case "Mul" -> (a, b) -> a * b;
                    case "Div" -> whole ? NaiveOps::quotient : (a, b) -> a / b;
                    case "Pow" -> Math::pow;
                    case "Min" -> Math::min;
                    case "Max" -> Math::max;
                    case "Equal" -> (a, b) -> a == b ? 1 : 0;
                    case "Less" -> (a, b) -> a < b ? 1 : 0;
                    case "LessOrEqual" -> (a, b) -> a <= b ? 1 : 0;
                    case "Greater" -> (a, b) -> a > b ? 1 : 0;
                    case "GreaterOrEqual" -> (a, b) -> a >= b ? 1 : 0;
                    case "And" -> (a, b) -> a * b;
                    case "Or" -> Math::max;
                    default -> throw new IllegalArgumentException(node.getOpType());
                };
        NaiveTensor y = in.get(0);
        for (NaiveTensor next : in.subList(1, in.size())) {
            y = binary(y, next, f);
        }
        boolean compares = List.of("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")
                .contains(node.getOpType());
        return compares ? y.as(DataType.BOOL) : y;
    }

    /** Of whole numbers; truncates towards zero. */
    private static double quotient(double a, double b) {
        long quotient = (long) a / (long) b;
        return quotient;
    }

    static NaiveTensor where(NaiveTensor condition, NaiveTensor a, NaiveTensor b) {
        NaiveTensor left = binary(condition, a, (c, v) -> c != 0 ? v : 0);
        NaiveTensor right = binary(condition, b, (c, v) -> c != 0 ? 0 : v);
        return binary(left, right, Double::sum).as(a.type());
    }

    /** The bounds are attributes before opset 11, inputs since. */
    static NaiveTensor clip(NodeProto node, List<NaiveTensor> in) {
        double low = bound(in, 1, NaiveNetwork.real(node, "min", Float.NEGATIVE_INFINITY));
        double high = bound(in, 2, NaiveNetwork.real(node, "max", Float.POSITIVE_INFINITY));
        return map(in.get(0), v -> Math.min(high, Math.max(low, v)));
    }

    private static double bound(List<NaiveTensor> in, int index, double otherwise) {
        return in.size() > index && in.get(index) != null ? in.get(index).values()[0] : otherwise;
    }

    /** Whole numbers truncate towards zero; floats stay doubles here. */
    static NaiveTensor cast(NaiveTensor x, DataType to) {
        NaiveTensor y = x.as(to);
        if (to == DataType.BOOL) {
            return map(y, v -> v != 0 ? 1 : 0);
        }
        return y.isInteger() ? map(y, v -> v < 0 ? Math.ceil(v) : Math.floor(v)) : y;
    }

    /** erf(x) = 2/sqrt(pi) exp(-x^2) sum over n of 2^n x^(2n+1) / (2n+1)!!, whose terms have one sign. */
    static double erf(double x) {
        if (Math.abs(x) > 6) {
            return Math.signum(x);
        }
        double term = x;
        double sum = x;
        for (int n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
            term *= 2 * x * x / (2 * n + 1);
            sum += term;
        }
        return 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * sum;
    }

    /** Along one axis since opset 13; before, over everything from that axis on. */
    static NaiveTensor softmax(NodeProto node, NaiveTensor x, long opset) {
        int axis = x.axis((int) NaiveNetwork.integer(node, "axis", opset < 13 ? 1 : -1));
        return opset < 13
                ? softmax(x.reshape(x.span(0, axis), x.span(axis, x.rank())), 1).reshape(x.shape())
                : softmax(x, axis);
    }

    private static NaiveTensor softmax(NaiveTensor x, int axis) {
        int n = x.shape()[axis];
        int inner = x.span(axis + 1, x.rank());
        NaiveTensor y = NaiveTensor.zeros(x.shape());
        for (int o = 0; o < x.span(0, axis); o++) {
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

    /** Inference: inputs x, scale, shift, mean, variance; channels on axis 1. */
    static NaiveTensor batchNormalization(NodeProto node, List<NaiveTensor> in) {
        NaiveTensor x = in.get(0);
        double epsilon = NaiveNetwork.real(node, "epsilon", 1e-5f);
        NaiveTensor y = NaiveTensor.zeros(x.shape());
        int inner = x.span(2, x.rank());
        for (int i = 0; i < x.values().length; i++) {
            int c = i / inner % x.shape()[1];
            double normal = (x.values()[i] - in.get(3).values()[c])
                    / Math.sqrt(in.get(4).values()[c] + epsilon);
            y.values()[i] = in.get(1).values()[c] * normal + in.get(2).values()[c];
        }
        return y;
    }

    /** Inputs x, scale and, where there is one, shift; over everything from the axis on. */
    static NaiveTensor layerNormalization(NodeProto node, List<NaiveTensor> in) {
        NaiveTensor x = in.get(0);
        double epsilon = NaiveNetwork.real(node, "epsilon", 1e-5f);
        int n = x.span(x.axis((int) NaiveNetwork.integer(node, "axis", -1)), x.rank());
        NaiveTensor normal = NaiveTensor.zeros(x.shape());
        for (int from = 0; from < x.values().length; from += n) {
            double mean = Arrays.stream(x.values(), from, from + n).average().orElseThrow();
            double variance = Arrays.stream(x.values(), from, from + n)
                    .map(v -> (v - mean) * (v - mean))
                    .average()
                    .orElseThrow();
            for (int i = from; i < from + n; i++) {
                normal.values()[i] = (x.values()[i] - mean) / Math.sqrt(variance + epsilon);
            }
        }
        NaiveTensor scaled = binary(normal, in.get(1), (a, b) -> a * b);
        return in.size() > 2 && in.get(2) != null ? binary(scaled, in.get(2), Double::sum) : scaled;
    }
}
