package dev.rebias.op;

import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.Shape;

/**
 * ONNX Conv: data [N,C,spatial..], weights [M,C/group,kernel..], output [N,M,spatial..]; 1, 2 or 3 spatial dimensions,
 * depthwise where group = C.
 */
public record Convolution(Window window, long group) implements LayerOp {
    static Convolution of(NodeProto node, long[] weightShape) {
        return new Convolution(Window.of(node, weightShape), Attributes.integer(node, "group", 1));
    }

    @Override
    public String type() {
        return "Conv";
    }

    @Override
    public int channels(long[] weightShape) {
        return Math.toIntExact(weightShape[0]);
    }

    @Override
    public int weightChannelAxis(int weightRank) {
        return 0;
    }

    @Override
    public int channelAxis(int outputRank) {
        return 1;
    }

    @Override
    public long[] outputShape(long[] data, long[] weights) {
        LayerOp.requireElements(type(), data, weights);
        if (data.length != weights.length
                || group < 1
                || weights[0] % group != 0
                || data[1] != Math.multiplyExact(weights[1], group)) {
            throw new UnsupportedException("Conv with weights " + Shape.text(weights) + " and group " + group
                    + " does not fit data of shape " + Shape.text(data));
        }
        long[] out = data.clone();
        out[1] = weights[0];
        boolean fits = true;
        for (int i = 0; i < window.kernel().size(); i++) {
            long stride = window.strides().get(i);
            long in = data[i + 2];
            out[i + 2] = switch (window.autoPad()) {
                case NOTSET -> Math.floorDiv(in + window.totalPad(i) - window.extent(i), stride) + 1;
                case VALID -> Math.floorDiv(in - window.extent(i), stride) + 1;
                case SAME_UPPER, SAME_LOWER -> (in + stride - 1) / stride;
            };
            fits &= out[i + 2] >= 1;
        }
        if (!fits) {
            throw new UnsupportedException("Conv with weights " + Shape.text(weights)
                    + " does not fit into data of shape " + Shape.text(data));
        }
        return out;
    }

    @Override
    public NodeProto toNode(String data, String weights, String bias, String output) {
        NodeProto.Builder node =
                NodeProto.newBuilder().setOpType("Conv").addInput(data).addInput(weights);
        if (!bias.isEmpty()) {
            node.addInput(bias);
        }
        window.addTo(node);
        return node.addAttribute(Attributes.of("group", group))
                .addOutput(output)
                .build();
    }
}
