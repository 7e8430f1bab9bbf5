package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.NodeProto;
import java.util.Arrays;

/** The operations with weights, as the ONNX operator specification writes them down. */
final class NaiveLayers {
    private NaiveLayers() {}

    static NaiveTensor run(NodeProto node, NaiveTensor x, NaiveTensor w, NaiveTensor b) {
        return switch (node.getOpType()) {
            case "Conv" -> conv(node, x, w, b);
            case "ConvTranspose" -> convTranspose(node, x, w, b);
            case "Gemm" -> gemm(node, x, w, b);
            case "MatMul" -> matMul(x, w);
            default -> throw new IllegalArgumentException(node.getOpType());
        };
    }

    /** Begins of the padding, then ends. */
    private static int[] pads(NodeProto node, int[] in, int[] kernel, int[] strides, int[] dilations) {
        int n = kernel.length;
        String auto = NaiveNetwork.text(node, "auto_pad", "NOTSET");
        if (auto.equals("NOTSET")) {
            return NaiveNetwork.ints(node, "pads", new int[2 * n]);
        }
        int[] pads = new int[2 * n];
        for (int d = 0; d < n && !auto.equals("VALID"); d++) {
            int out = (in[d] + strides[d] - 1) / strides[d];
            int total = Math.max(0, (out - 1) * strides[d] + (kernel[d] - 1) * dilations[d] + 1 - in[d]);
            pads[d] = auto.equals("SAME_UPPER") ? total / 2 : total - total / 2;
            pads[n + d] = total - pads[d];
        }
        return pads;
    }

    private static int[] filled(int n) {
        int[] ones = new int[n];
        Arrays.fill(ones, 1);
        return ones;
    }

    private static NaiveTensor conv(NodeProto node, NaiveTensor x, NaiveTensor w, NaiveTensor b) {
        int n = x.rank() - 2;
        int[] in = Arrays.copyOfRange(x.shape(), 2, n + 2);
        int[] kernel = Arrays.copyOfRange(w.shape(), 2, n + 2);
        int[] strides = NaiveNetwork.ints(node, "strides", filled(n));
        int[] dilations = NaiveNetwork.ints(node, "dilations", filled(n));
        int[] pads = pads(node, in, kernel, strides, dilations);
        int group = (int) NaiveNetwork.integer(node, "group", 1);
        int batch = x.shape()[0];
        int channels = x.shape()[1];
        int outputs = w.shape()[0];
        int[] outShape = x.shape().clone();
        outShape[1] = outputs;
        int[] out = new int[n];
        for (int d = 0; d < n; d++) {
            out[d] = (in[d] + pads[d] + pads[n + d] - (kernel[d] - 1) * dilations[d] - 1) / strides[d] + 1;
            outShape[d + 2] = out[d];
        }
        NaiveTensor y = NaiveTensor.zeros(outShape);
        int inSize = NaiveTensor.size(in);
        int outSize = NaiveTensor.size(out);
        int taps = NaiveTensor.size(kernel);
        int perGroup = channels / group;
        int[] position = new int[n];
        int[] tap = new int[n];
        for (int o = 0; o < outSize; o++) {
            unravel(o, out, position);
            for (int t = 0; t < taps; t++) {
                unravel(t, kernel, tap);
                int from = 0;
                boolean inside = true;
                for (int d = 0; d < n; d++) {
                    int at = position[d] * strides[d] - pads[d] + tap[d] * dilations[d];
                    inside &= at >= 0 && at < in[d];
                    from = from * in[d] + at;
                }
                if (!inside) {
                    continue;
                }
                for (int i = 0; i < batch; i++) {
                    for (int m = 0; m < outputs; m++) {
                        int firstChannel = m / (outputs / group) * perGroup;
                        double sum = 0;
                        for (int c = 0; c < perGroup; c++) {
                            sum += w.values()[(m * perGroup + c) * taps + t]
                                    * x.values()[(i * channels + firstChannel + c) * inSize + from];
                        }
                        y.values()[(i * outputs + m) * outSize + o] += sum;
                    }
                }
            }
        }
        return addBias(y, b);
    }

    private static NaiveTensor convTranspose(NodeProto node, NaiveTensor x, NaiveTensor w, NaiveTensor b) {
        int n = x.rank() - 2;
        int[] in = Arrays.copyOfRange(x.shape(), 2, n + 2);
        int[] kernel = Arrays.copyOfRange(w.shape(), 2, n + 2);
        int[] strides = NaiveNetwork.ints(node, "strides", filled(n));
        int[] dilations = NaiveNetwork.ints(node, "dilations", filled(n));
        int[] pads = NaiveNetwork.ints(node, "pads", new int[2 * n]);
        int[] extra = NaiveNetwork.ints(node, "output_padding", new int[n]);
        int group = (int) NaiveNetwork.integer(node, "group", 1);
        int batch = x.shape()[0];
        int channels = x.shape()[1];
        int perGroup = w.shape()[1];
        int outputs = perGroup * group;
        int[] outShape = x.shape().clone();
        outShape[1] = outputs;
        int[] out = new int[n];
        for (int d = 0; d < n; d++) {
            out[d] = strides[d] * (in[d] - 1) + extra[d] + (kernel[d] - 1) * dilations[d] + 1 - pads[d] - pads[n + d];
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
                for (int i = 0; i < batch; i++) {
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
        NaiveTensor x = NaiveNetwork.integer(node, "transA", 0) != 0 ? NaiveOps.transpose(a, 1, 0) : a;
        NaiveTensor y = matMul(x, NaiveNetwork.integer(node, "transB", 0) != 0 ? NaiveOps.transpose(w, 1, 0) : w);
        NaiveTensor scaled = NaiveOps.map(y, v -> alpha * v);
        return c == null ? scaled : NaiveOps.binary(scaled, NaiveOps.map(c, v -> beta * v), Double::sum);
    }

    static NaiveTensor matMul(NaiveTensor a, NaiveTensor b) {
        int rows = a.shape()[a.rank() - 2];
        int inner = a.shape()[a.rank() - 1];
        int columns = b.shape()[b.rank() - 1];
        int batches = a.span(0, a.rank() - 2);
        int otherBatches = b.span(0, b.rank() - 2);
        int[] shape = a.shape().clone();
        shape[shape.length - 1] = columns;
        NaiveTensor y = NaiveTensor.zeros(shape);
        for (int i = 0; i < batches; i++) {
            int other = otherBatches == 1 ? 0 : i;
            for (int r = 0; r < rows; r++) {
                for (int c = 0; c < columns; c++) {
                    double sum = 0;
                    for (int k = 0; k < inner; k++) {
                        sum += a.values()[(i * rows + r) * inner + k] * b.values()[(other * inner + k) * columns + c];
                    }
                    y.values()[(i * rows + r) * columns + c] = sum;
                }
            }
        }
        return y;
    }
}
