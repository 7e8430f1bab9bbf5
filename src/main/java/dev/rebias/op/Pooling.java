package dev.rebias.op;

import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.Shape;
import java.util.Collections;
import java.util.List;

/**
 * ONNX MaxPool and AveragePool: data [N,C,spatial..], output [N,C,spatial..].
 *
 * @param maximum MaxPool, not AveragePool
 * @param ceil whether a last window that only begins inside the padded input counts (ceil_mode)
 * @param countPadding whether averages count the padding (count_include_pad)
 */
public record Pooling(boolean maximum, Window window, boolean ceil, boolean countPadding) {
    /** Parses a node of one of those types. */
    public static Pooling of(OnnxOp op) {
        NodeProto node = op.node();
        List<Long> kernel = Attributes.integers(node, "kernel_shape")
                .orElseThrow(() -> new UnsupportedException(
                        "node '" + node.getName() + "' (" + node.getOpType() + ") has no kernel_shape"));
        int n = kernel.size();
        List<Long> ones = Collections.nCopies(n, 1L);
        Window window = new Window(
                kernel,
                Attributes.integers(node, "strides").orElse(ones),
                Attributes.integers(node, "dilations").orElse(ones),
                Attributes.integers(node, "pads").orElse(Collections.nCopies(2 * n, 0L)),
                Window.autoPad(Attributes.text(node, "auto_pad", "NOTSET")));
        return new Pooling(
                node.getOpType().equals("MaxPool"),
                window,
                Attributes.integer(node, "ceil_mode", 0) != 0,
                Attributes.integer(node, "count_include_pad", 0) != 0);
    }

    /**
     * The shape of the output.
     *
     * @throws UnsupportedException if the window does not fit into data of that shape
     */
    public long[] outputShape(long[] data) {
        int n = window.kernel().size();
        if (data.length != n + 2 || Shape.elements(data, 1, data.length) == 0) {
            throw new UnsupportedException(
                    "a pooling window over " + n + " dimensions does not fit data of shape " + Shape.text(data));
        }
        long[] out = data.clone();
        for (int i = 0; i < n; i++) {
            long in = data[i + 2];
            if (window.begin(i, in) >= window.extent(i) || window.end(i, in) >= window.extent(i)) {
                throw new UnsupportedException("a pooling window of " + window.kernel() + " with pads " + window.pads()
                        + " would lie in nothing but padding: its pads must be smaller than it");
            }
            long stride = window.strides().get(i);
            long range = in + begin(i, in) + end(i, in) - window.extent(i);
            out[i + 2] = (ceil ? -Math.floorDiv(-range, stride) : Math.floorDiv(range, stride)) + 1;
            // A window that would begin in the padding behind the data does not count.
            if (ceil && (out[i + 2] - 1) * stride >= in + begin(i, in)) {
                out[i + 2]--;
            }
            if (out[i + 2] < 1) {
                throw new UnsupportedException("a pooling window of " + window.kernel()
                        + " does not fit into data of shape " + Shape.text(data));
            }
        }
        return out;
    }

    /**
     * The padding before data of that size along spatial dimension i. Where auto_pad is SAME it is what ONNX Runtime
     * makes of it, which does not count the dilation as it does for convolutions, and may be negative: then some of the
     * data are passed over.
     */
    public long begin(int i, long in) {
        return switch (window.autoPad()) {
            case NOTSET, VALID -> window.begin(i, in);
            case SAME_UPPER -> same(i, in) / 2;
            case SAME_LOWER -> (same(i, in) + 1) / 2;
        };
    }

    /** The padding behind the data, as {@link #begin}. */
    public long end(int i, long in) {
        return switch (window.autoPad()) {
            case NOTSET, VALID -> window.end(i, in);
            case SAME_UPPER, SAME_LOWER -> same(i, in) - begin(i, in);
        };
    }

    private long same(int i, long in) {
        long stride = window.strides().get(i);
        long outputs = (in + stride - 1) / stride;
        return (outputs - 1) * stride + window.kernel().get(i) - in;
    }
}
