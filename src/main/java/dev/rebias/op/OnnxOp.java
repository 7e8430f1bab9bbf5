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
        return plain("Add", 2);
    }

    /** A Mul of two operands, with broadcasting. */
    public static OnnxOp multiply() {
        return plain("Mul", 2);
    }

    /** A DequantizeLinear of data, scale and zero point. */
    public static OnnxOp dequantizeLinear() {
        return plain("DequantizeLinear", 3);
    }

    /** A QuantizeLinear of data, scale and zero point. */
    public static OnnxOp quantizeLinear() {
        return plain("QuantizeLinear", 3);
    }

    /** A Pad of data with zeros, by constant pads. */
    public static OnnxOp pad() {
        return plain("Pad", 2);
    }

    private static OnnxOp plain(String type, int inputs) {
        NodeProto.Builder node = NodeProto.newBuilder().setOpType(type).addOutput("y");
        for (int i = 0; i < inputs; i++) {
            node.addInput("x" + i);
        }
        return new OnnxOp(
                node.build(),
                List.of(),
                List.of(OperatorSetIdProto.newBuilder().setVersion(13).build()));
    }

    /** The version of ONNX's own operator set that the model imports. */
    public long opset() {
        return opsets.stream()
                .filter(o -> o.getDomain().isEmpty() || o.getDomain().equals("ai.onnx"))
                .mapToLong(OperatorSetIdProto::getVersion)
                .findFirst()
                .orElse(1);
    }

    /** Whether it is an operation of ONNX's own domain. */
    public boolean standard() {
        return node.getDomain().isEmpty() || node.getDomain().equals("ai.onnx");
    }

    @Override
    public String type() {
        return node.getOpType();
    }
}
