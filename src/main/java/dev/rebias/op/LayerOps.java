package dev.rebias.op;

import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.Shape;
import java.util.Set;

/** Parses the nodes that can be layers. */
public final class LayerOps {
    private LayerOps() {}

    /**
     * Whether a node's op has weights, and so could be a layer: Conv, ConvTranspose, Gemm or MatMul of ONNX's own
     * domain.
     */
    public static boolean hasWeights(NodeProto node) {
        return (node.getDomain().isEmpty() || node.getDomain().equals("ai.onnx"))
                && Set.of("Conv", "ConvTranspose", "Gemm", "MatMul").contains(node.getOpType());
    }

    /**
     * The operation of a node that {@linkplain #hasWeights has weights}, these being of that shape.
     *
     * @throws dev.rebias.error.UnsupportedException if its attributes do not fit the weights
     */
    public static LayerOp parse(NodeProto node, long[] weightShape) {
        if (Shape.elements(weightShape) == 0) {
            throw new UnsupportedException("its weights, of shape " + Shape.text(weightShape) + ", are empty");
        }
        if (node.getOpType().startsWith("Conv") && weightShape[0] % Attributes.integer(node, "group", 1) != 0) {
            throw new UnsupportedException("its weights, of shape " + Shape.text(weightShape) + ", do not fall into "
                    + Attributes.integer(node, "group", 1) + " groups");
        }
        return switch (node.getOpType()) {
            case "Conv" -> Convolution.of(node, weightShape);
            case "ConvTranspose" -> TransposedConvolution.of(node, weightShape);
            case "Gemm" -> Gemm.of(node);
            case "MatMul" -> new MatMul();
            default -> throw new IllegalArgumentException(node.getOpType() + " has no weights");
        };
    }
}
