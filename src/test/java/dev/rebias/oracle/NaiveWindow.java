package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.NodeProto;
import java.util.Arrays;

/** How a window slides over the spatial dimensions: the geometry that convolution and pooling share. */
final class NaiveWindow {
    private final int[] in;
    private final int[] kernel;
    private final int[] strides;
    private final int[] dilations;
    /** Begins, then ends. */
    private final int[] pads;

    private final int[] out;

    NaiveWindow(NodeProto node, NaiveTensor x, int... kernel) {
        int n = kernel.length;
        this.kernel = kernel;
        in = Arrays.copyOfRange(x.shape(), 2, n + 2);
        strides = NaiveNetwork.ints(node, "strides", ones(n));
        dilations = NaiveNetwork.ints(node, "dilations", ones(n));
        pads = pads(NaiveNetwork.text(node, "auto_pad", "NOTSET"), NaiveNetwork.ints(node, "pads", new int[2 * n]));
        boolean ceil = NaiveNetwork.integer(node, "ceil_mode", 0) != 0;
        out = new int[n];
        for (int d = 0; d < n; d++) {
            int room = in[d] + pads[d] + pads[n + d] - reach(d);
            out[d] = (ceil ? (room + strides[d] - 1) / strides[d] : room / strides[d]) + 1;
            // A window may not begin behind the input and its left padding.
            if (ceil && (out[d] - 1) * strides[d] >= in[d] + pads[d]) {
                out[d]--;
            }
        }
    }

    static int[] ones(int n) {
        int[] ones = new int[n];
        Arrays.fill(ones, 1);
        return ones;
    }

    /** How many input positions a window spans, its holes included. */
    private int reach(int d) {
        return (kernel[d] - 1) * dilations[d] + 1;
    }

    private int[] pads(String auto, int[] written) {
        if (auto.equals("NOTSET")) {
            return written;
        }
        int n = kernel.length;
        int[] same = new int[2 * n];
        for (int d = 0; d < n && !auto.equals("VALID"); d++) {
            int wanted = (in[d] + strides[d] - 1) / strides[d];
            int total = Math.max(0, (wanted - 1) * strides[d] + reach(d) - in[d]);
            same[d] = auto.equals("SAME_UPPER") ? total / 2 : total - total / 2;
            same[n + d] = total - same[d];
        }
        return same;
    }

    int[] out() {
        return out;
    }

    int positions() {
        return NaiveTensor.size(out);
    }

    int taps() {
        return NaiveTensor.size(kernel);
    }

    /** Samples and channels, then this window's output positions. */
    int[] shape(int samples, int channels) {
        int[] shape = new int[out.length + 2];
        shape[0] = samples;
        shape[1] = channels;
        System.arraycopy(out, 0, shape, 2, out.length);
        return shape;
    }

    /** The input position under a tap of the window at an output position; -1 in the padding, -2 behind the padding. */
    int source(int position, int tap) {
        int at = 0;
        int stride = 1;
        int outside = 0;
        for (int d = out.length - 1; d >= 0; d--) {
            int i = position % out[d] * strides[d] - pads[d] + tap % kernel[d] * dilations[d];
            position /= out[d];
            tap /= kernel[d];
            if (i >= in[d] + pads[out.length + d]) {
                outside = -2;
            } else if (i < 0 || i >= in[d]) {
                outside = Math.min(outside, -1);
            }
            at += i * stride;
            stride *= in[d];
        }
        return outside < 0 ? outside : at;
    }
}
