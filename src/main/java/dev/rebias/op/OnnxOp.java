package dev.rebias.op;

import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import java.util.List;

/**
 * Any ONNX operation, carried as the node it came from. Its operands are the node's inputs in order, then its captures.
 *
 * @param node the node, names and all
 * @param captures outer tensors that the node's subgraphs use by name (If, Loop, Scan), in order of first use
 * @param opsets the operator sets that the node's model imports, which fix what its op type means
 */
public record OnnxOp(NodeProto node, List<String> captures, List<OperatorSetIdProto> opsets) implements Op {
    public OnnxOp {
        captures = List.copyOf(captures);
        opsets = List.copyOf(opsets);
    }

    /** An Add of two operands, with broadcasting. */
    public static OnnxOp add() {
        NodeProto node = NodeProto.newBuilder()
                .setOpType("Add")
                .addInput("a")
                .addInput("b")
                .addOutput("sum")
                .build();
        return new OnnxOp(
                node,
                List.of(),
                List.of(OperatorSetIdProto.newBuilder().setVersion(13).build()));
    }

    @Override
    public String type() {
        return node.getOpType();
    }
}
