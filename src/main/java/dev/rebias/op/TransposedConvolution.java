package dev.rebias.op;

import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.Shape;
import java.util.Collections;
import java.util.List;

/**
 * ONNX ConvTranspose: data [N,C,spatial..], weights [C,M/group,kernel..], output [N,M,spatial..]. Output channel m
 * belongs to group {@code m / (M/group)} and lies at index {@code m % (M/group)} of the weights' axis 1.
 *
 * @param outputPadding added to one side of the output, one entry per spatial dimension
 * @param outputShape the spatial output sizes where the node states them; then pads are derived from it; else empty
 */
public record TransposedConvolution(Window window, long group, List<Long> outputPadding, List<Long> outputShape)
        implements LayerOp {
    public TransposedConvolution {
        outputPadding = List.copyOf(outputPadding);
        outputShape = List.copyOf(outputShape);
        int n = window.kernel().size();
        if (outputPadding.size() != n
                || !(outputShape.isEmpty() || outputShape.size() == n || outputShape.size() == n + 2)) {
            throw new UnsupportedException("a window over " + n + " spatial dimensions has output_padding "
                    + outputPadding + " and output_shape " + outputShape);
        }
        if (outputPadding.stream().anyMatch(p -> p < 0 || p > AttributeRules.MOST)
                || outputShape.stream().anyMatch(s -> s < 1 || s > AttributeRules.MOST)) {
            throw new UnsupportedException("output_padding " + outputPadding + " or output_shape " + outputShape
                    + " is outside 0 to " + AttributeRules.MOST);
        }
    }

    static TransposedConvolution of(NodeProto node, long[] weightShape) {
        Window window = Window.of(node, weightShape);
        return new TransposedConvolution(
                window,
                Attributes.integer(node, "group", 1),
                Attributes.integers(node, "output_padding")
                        .orElse(Collections.nCopies(window.kernel().size(), 0L)),
                Attributes.integers(node, "output_shape").orElse(List.of()));
    }

    @Override
    public String type() {
        return "ConvTranspose";
    }

    @Override
    public int channels(long[] weightShape) {
        return Math.toIntExact(weightShape[1] * group);
    }

    @Override
    public int weightChannelAxis(int weightRank) {
        return 1;
    }

    @Override
    public int channelAxis(int outputRank) {
        return 1;
    }

    @Override
    public long[] outputShape(long[] data, long[] weights) {
        LayerOp.requireElements(type(), data, weights);
        if (data.length != weights.length || group < 1 || data[1] != weights[0] || weights[0] % group != 0) {
            throw new UnsupportedException("ConvTranspose with weights " + Shape.text(weights)
                    + " does not fit data of shape " + Shape.text(data));
        }
        long[] out = data.clone();
        out[1] = Math.multiplyExact(weights[1], group);
        int n = window.kernel().size();
        for (int i = 0; i < n; i++) {
            long stride = window.strides().get(i);
            long full = stride * (data[i + 2] - 1) + outputPadding.get(i) + window.extent(i);
            if (!outputShape.isEmpty()) {
                out[i + 2] = outputShape.get(outputShape.size() - n + i);
                if (out[i + 2] >= full + stride) {
                    throw new UnsupportedException("ConvTranspose with output_shape " + outputShape + " makes "
                            + full + " values along spatial dimension " + i + " of data of shape " + Shape.text(data)
                            + "; its output may be larger by less than a stride of " + stride);
                }
            } else {
                out[i + 2] = switch (window.autoPad()) {
                    case NOTSET -> full - window.totalPad(i);
                    case VALID -> full;
                    case SAME_UPPER, SAME_LOWER -> Math.min(full, data[i + 2] * stride);
                };
            }
            if (out[i + 2] < 1) {
                throw new UnsupportedException("ConvTranspose with weights " + Shape.text(weights) + " and pads "
                        + window.pads() + " leaves nothing of data of shape " + Shape.text(data));
            }
        }
        return out;
    }

    @Override
    public long multiplications(long[] dataShape, long[] weightShape) {
        return Shape.elements(dataShape) * (Shape.elements(weightShape) / weightShape[0]);
    }

    @Override
    public NodeProto toNode(String data, String weights, String bias, String output) {
        NodeProto.Builder node =
                NodeProto.newBuilder().setOpType("ConvTranspose").addInput(data).addInput(weights);
        if (!bias.isEmpty()) {
            node.addInput(bias);
        }
        window.addTo(node);
        node.addAttribute(Attributes.of("group", group)).addAttribute(Attributes.of("output_padding", outputPadding));
        if (!outputShape.isEmpty()) {
            node.addAttribute(Attributes.of("output_shape", outputShape));
        }
        return node.addOutput(output).build();
    }

    /**
     * The padding cut off before the output along spatial dimension i, for data of that size: ONNX's rule where
     * output_shape or auto_pad fixes the output, else pads.
     */
    public long begin(int i, long in) {
        int n = window.kernel().size();
        boolean derived = !outputShape.isEmpty()
                || window.autoPad() == Window.AutoPad.SAME_UPPER
                || window.autoPad() == Window.AutoPad.SAME_LOWER;
        if (!derived) {
            return window.autoPad() == Window.AutoPad.VALID ? 0 : window.pads().get(i);
        }
        long stride = window.strides().get(i);
        long out = outputShape.isEmpty() ? in * stride : outputShape.get(outputShape.size() - n + i);
        // An output that is larger than all products reach has zeros behind them.
        long total = Math.max(0, stride * (in - 1) + outputPadding.get(i) + window.extent(i) - out);
        // With SAME_UPPER the odd element is cut off behind, else before.
        return window.autoPad() == Window.AutoPad.SAME_UPPER ? total / 2 : total - total / 2;
    }
}
