package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.NodeProto;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** The operations with weights, as the ONNX operator specification writes them down. */
final class NaiveLayers {
    private NaiveLayers() {}

    /** What a layer's node gives; b is null where it has no bias. */
    static NaiveTensor run(NodeProto node, NaiveTensor x, NaiveTensor w, NaiveTensor b) {
        return switch (node.getOpType()) {
            case "Conv" -> conv(node, x, w, b);
            case "ConvTranspose" -> convTranspose(node, x, w, b);
            case "Gemm" -> gemm(node, x, w, b);
            case "MatMul" -> matMul(x, w);
            default -> throw new IllegalArgumentException(node.getOpType());
        };
    }

    private static NaiveTensor conv(NodeProto node, NaiveTensor x, NaiveTensor w, NaiveTensor b) {
        NaiveWindow window = new NaiveWindow(node, x, Arrays.copyOfRange(w.shape(), 2, w.rank()));
        int group = (int) NaiveNetwork.integer(node, "group", 1);
        int samples = x.shape()[0];
        int channels = x.shape()[1];
        int outputs = w.shape()[0];
        int perGroup = channels / group;
        int taps = window.taps();
        int inSize = x.span(2, x.rank());
        int outSize = window.positions();
        List<List<Run>> runs =
                IntStream.range(0, taps).mapToObj(t -> runs(window, t)).toList();
        NaiveTensor y = NaiveTensor.zeros(window.shape(samples, outputs));
        for (int i = 0; i < samples; i++) {
            for (int m = 0; m < outputs; m++) {
                int firstChannel = m / (outputs / group) * perGroup;
                int plane = (i * outputs + m) * outSize;
                for (int c = 0; c < perGroup; c++) {
                    int source = (i * channels + firstChannel + c) * inSize;
                    for (int t = 0; t < taps; t++) {
                        double weight = w.values()[(m * perGroup + c) * taps + t];
                        for (Run run : runs.get(t)) {
                            run.accumulate(y.values(), plane, x.values(), source, weight);
                        }
                    }
                }
            }
        }
        return addBias(y, b);
    }

    /** Output positions one behind the other, {@code n} of them, and the input positions under them. */
    private record Run(int to, int from, int step, int n) {
        /** y[plane + to + k] += weight * x[source + from + step * k] for every k. */
        void accumulate(double[] y, int plane, double[] x, int source, double weight) {
            int firstTo = plane + to;
            int firstFrom = source + from;
            if (step == 1) {
                for (int k = 0; k < n; k++) {
                    y[firstTo + k] += weight * x[firstFrom + k];
                }
            } else {
                for (int k = 0; k < n; k++) {
                    y[firstTo + k] += weight * x[firstFrom + step * k];
                }
            }
        }
    }

    /** Where a tap lies inside the input, in runs as long as can be: most of a row, or of a whole plane. */
    private static List<Run> runs(NaiveWindow window, int tap) {
        List<Run> runs = new ArrayList<>();
        for (int o = 0; o < window.positions(); o++) {
            int from = window.source(o, tap);
            if (from < 0) {
                continue;
            }
            Run last = runs.isEmpty() ? null : runs.get(runs.size() - 1);
            boolean follows = last != null && last.to() + last.n() == o;
            if (follows && last.n() == 1) {
                runs.set(runs.size() - 1, new Run(last.to(), last.from(), from - last.from(), 2));
            } else if (follows && from == last.from() + last.step() * last.n()) {
                runs.set(runs.size() - 1, new Run(last.to(), last.from(), last.step(), last.n() + 1));
            } else {
                runs.add(new Run(o, from, 1, 1));
            }
        }
        return runs;
    }

    private static NaiveTensor convTranspose(NodeProto node, NaiveTensor x, NaiveTensor w, NaiveTensor b) {
        int n = x.rank() - 2;
        int[] in = Arrays.copyOfRange(x.shape(), 2, n + 2);
        int[] kernel = Arrays.copyOfRange(w.shape(), 2, n + 2);
        int[] strides = NaiveNetwork.ints(node, "strides", NaiveWindow.ones(n));
        int[] dilations = NaiveNetwork.ints(node, "dilations", NaiveWindow.ones(n));
        int[] pads = NaiveNetwork.ints(node, "pads", new int[2 * n]).clone();
        int[] extra = NaiveNetwork.ints(node, "output_padding", new int[n]);
        int[] wanted = NaiveNetwork.ints(node, "output_shape", new int[0]);
        String auto = NaiveNetwork.text(node, "auto_pad", "NOTSET");
        int group = (int) NaiveNetwork.integer(node, "group", 1);
        int samples = x.shape()[0];
        int channels = x.shape()[1];
        int perGroup = w.shape()[1];
        int outputs = perGroup * group;
        int[] outShape = x.shape().clone();
        outShape[1] = outputs;
        int[] out = new int[n];
        for (int d = 0; d < n; d++) {
            int full = strides[d] * (in[d] - 1) + extra[d] + (kernel[d] - 1) * dilations[d] + 1;
            if (wanted.length > 0 || auto.startsWith("SAME")) {
                out[d] = wanted.length > 0 ? wanted[d] : in[d] * strides[d];
                int total = Math.max(0, full - out[d]);
                pads[d] = auto.equals("SAME_UPPER") ? total / 2 : total - total / 2;
                pads[n + d] = total - pads[d];
            }
            out[d] = full - pads[d] - pads[n + d];
            outShape[d + 2] = out[d];
        }
        NaiveTensor y = NaiveTensor.zeros(outShape);
        int inSize = NaiveTensor.size(in);
        int outSize = NaiveTensor.size(out);
        int taps = NaiveTensor.size(kernel);
        int[] position = new int[n];
        int[] tap = new int[n];
        for (int p = 0; p < inSize; p++) {
            unravel(p, in, position);
            for (int t = 0; t < taps; t++) {
                unravel(t, kernel, tap);
                int to = 0;
                boolean inside = true;
                for (int d = 0; d < n; d++) {
                    int at = position[d] * strides[d] - pads[d] + tap[d] * dilations[d];
                    inside &= at >= 0 && at < out[d];
                    to = to * out[d] + at;
                }
                if (!inside) {
                    continue;
                }
                for (int i = 0; i < samples; i++) {
                    for (int c = 0; c < channels; c++) {
                        double value = x.values()[(i * channels + c) * inSize + p];
                        int firstOutput = c / (channels / group) * perGroup;
                        for (int m = 0; m < perGroup; m++) {
                            y.values()[(i * outputs + firstOutput + m) * outSize + to] +=
                                    value * w.values()[(c * perGroup + m) * taps + t];
                        }
                    }
                }
            }
        }
        return addBias(y, b);
    }

    private static void unravel(int index, int[] shape, int[] into) {
        for (int d = shape.length - 1; d >= 0; d--) {
            into[d] = index % shape[d];
            index /= shape[d];
        }
    }

    private static NaiveTensor addBias(NaiveTensor y, NaiveTensor b) {
        if (b != null) {
            int inner = y.span(2, y.rank());
            for (int i = 0; i < y.values().length; i++) {
                y.values()[i] += b.values()[i / inner % y.shape()[1]];
            }
        }
        return y;
    }

    private static NaiveTensor gemm(NodeProto node, NaiveTensor a, NaiveTensor w, NaiveTensor c) {
        double alpha = NaiveNetwork.real(node, "alpha", 1);
        double beta = NaiveNetwork.real(node, "beta", 1);
        NaiveTensor x = NaiveNetwork.integer(node, "transA", 0) != 0 ? NaiveShapes.transpose(a, 1, 0) : a;
        NaiveTensor y = matMul(x, NaiveNetwork.integer(node, "transB", 0) != 0 ? NaiveShapes.transpose(w, 1, 0) : w);
        NaiveTensor scaled = NaiveOps.map(y, v -> alpha * v);
        return c == null ? scaled : NaiveOps.binary(scaled, NaiveOps.map(c, v -> beta * v), Double::sum);
    }

    /** The matrix product over the last two dimensions; those before them are broadcast. */
    static NaiveTensor matMul(NaiveTensor left, NaiveTensor right) {
        NaiveTensor a = left.rank() == 1 ? left.reshape(1, left.shape()[0]) : left;
        NaiveTensor b = right.rank() == 1 ? right.reshape(right.shape()[0], 1) : right;
        int rows = a.shape()[a.rank() - 2];
        int inner = a.shape()[a.rank() - 1];
        int columns = b.shape()[b.rank() - 1];
        int[] batchesOfA = Arrays.copyOf(a.shape(), a.rank() - 2);
        int[] batchesOfB = Arrays.copyOf(b.shape(), b.rank() - 2);
        int[] batches = NaiveOps.broadcast(batchesOfA, batchesOfB);
        int[] shape = Arrays.copyOf(batches, batches.length + 2);
        shape[batches.length] = rows;
        shape[batches.length + 1] = columns;
        NaiveTensor y = NaiveTensor.zeros(shape);
        for (int i = 0; i < NaiveTensor.size(batches); i++) {
            int ofA = NaiveOps.source(i, batches, batchesOfA);
            int ofB = NaiveOps.source(i, batches, batchesOfB);
            for (int r = 0; r < rows; r++) {
                for (int k = 0; k < inner; k++) {
                    double factor = a.values()[(ofA * rows + r) * inner + k];
                    for (int c = 0; c < columns; c++) {
                        y.values()[(i * rows + r) * columns + c] +=
                                factor * b.values()[(ofB * inner + k) * columns + c];
                    }
                }
            }
        }
        if (left.rank() == 1 || right.rank() == 1) {
            return y.reshape(IntStream.range(0, shape.length)
                    .filter(d -> !(left.rank() == 1 && d == batches.length))
                    .filter(d -> !(right.rank() == 1 && d == batches.length + 1))
                    .map(d -> shape[d])
                    .toArray());
        }
        return y;
    }
}
