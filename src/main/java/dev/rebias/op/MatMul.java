package dev.rebias.op;

import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.Shape;

/**
 * ONNX MatMul of data [..,K] by constant weights [K,M]: output [..,M], and a bias that ONNX keeps in an Add behind it.
 */
public record MatMul() implements LayerOp {
    @Override
    public String type() {
        return "MatMul";
    }

    @Override
    public int channels(long[] weightShape) {
        return Math.toIntExact(weightShape[1]);
    }

    @Override
    public int weightChannelAxis(int weightRank) {
        return 1;
    }

    @Override
    public int channelAxis(int outputRank) {
        return outputRank - 1;
    }

    @Override
    public long[] outputShape(long[] data, long[] weights) {
        LayerOp.requireElements(type(), data, weights);
        if (data.length < 2 || weights.length != 2 || data[data.length - 1] != weights[0]) {
            throw new UnsupportedException(
                    "MatMul with weights " + Shape.text(weights) + " does not fit data of shape " + Shape.text(data));
        }
        long[] out = data.clone();
        out[out.length - 1] = weights[1];
        return out;
    }

    @Override
    public NodeProto toNode(String data, String weights, String bias, String output) {
        return NodeProto.newBuilder()
                .setOpType("MatMul")
                .addInput(data)
                .addInput(weights)
                .addOutput(output)
                .build();
    }
}
