package dev.rebias.op;

import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.Shape;

/**
 * ONNX Gemm: {@code alpha * A' * B'} + bias, with data A [N,K] (or [K,N] if transA), weights B [K,M] (or [M,K] if
 * transB) and output [N,M]. ONNX's beta is folded into the bias when a node is read, so it is 1 here.
 */
public record Gemm(float alpha, boolean transA, boolean transB) implements LayerOp {
    static Gemm of(NodeProto node) {
        return new Gemm(
                Attributes.real(node, "alpha", 1),
                Attributes.integer(node, "transA", 0) != 0,
                Attributes.integer(node, "transB", 0) != 0);
    }

    @Override
    public String type() {
        return "Gemm";
    }

    @Override
    public int channels(long[] weightShape) {
        return Math.toIntExact(weightShape[transB ? 0 : 1]);
    }

    @Override
    public int weightChannelAxis(int weightRank) {
        return transB ? 0 : 1;
    }

    @Override
    public int channelAxis(int outputRank) {
        return 1;
    }

    @Override
    public long[] outputShape(long[] data, long[] weights) {
        LayerOp.requireElements(type(), data, weights);
        if (data.length != 2 || weights.length != 2 || data[transA ? 0 : 1] != weights[transB ? 1 : 0]) {
            throw new UnsupportedException(
                    "Gemm with weights " + Shape.text(weights) + " does not fit data of shape " + Shape.text(data));
        }
        return new long[] {data[transA ? 1 : 0], weights[transB ? 0 : 1]};
    }

    @Override
    public NodeProto toNode(String data, String weights, String bias, String output) {
        NodeProto.Builder node =
                NodeProto.newBuilder().setOpType("Gemm").addInput(data).addInput(weights);
        if (!bias.isEmpty()) {
            node.addInput(bias);
        }
        return node.addAttribute(Attributes.of("alpha", alpha))
                .addAttribute(Attributes.of("transA", transA ? 1L : 0L))
                .addAttribute(Attributes.of("transB", transB ? 1L : 0L))
                .addOutput(output)
                .build();
    }
}
