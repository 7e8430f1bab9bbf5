package dev.rebias.op;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import java.util.List;

/** Operations that several tests use. */
public final class TestOps {
    private TestOps() {}

    /** A 1x1 convolution. */
    public static Convolution pointwise() {
        List<Long> ones = List.of(1L, 1L);
        return new Convolution(new Window(ones, ones, ones, List.of(0L, 0L, 0L, 0L), Window.AutoPad.NOTSET), 1);
    }

    /** A 3x3 convolution whose outputs are as large as its inputs. */
    public static Convolution threeByThree() {
        List<Long> ones = List.of(1L, 1L);
        return new Convolution(
                new Window(List.of(3L, 3L), ones, ones, List.of(1L, 1L, 1L, 1L), Window.AutoPad.NOTSET), 1);
    }

    /** An operation of opset 13 with one output, {@code y}. */
    public static OnnxOp node(String type, AttributeProto... attributes) {
        NodeProto node = NodeProto.newBuilder()
                .setOpType(type)
                .addOutput("y")
                .addAllAttribute(List.of(attributes))
                .build();
        return new OnnxOp(
                node,
                List.of(),
                List.of(OperatorSetIdProto.newBuilder().setVersion(13).build()));
    }
}
