package dev.rebias.device.cpu.layer;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.device.cpu.onednn.OneDnn;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.ElementwiseGroup.Member;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerGroup;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.TestOps;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Where the processor multiplies bytes, and only there, a layer's output as floats is nowhere. */
final class FusedLayerTest {
    @Test
    void floatsAreNotInMemory() {
        int channels = 32;
        int side = 20;
        ElementwiseGroup group = new ElementwiseGroup(
                4,
                List.of(
                        new Member(op("Add", 2), List.of(0, 1)),
                        new Member(op("Relu", 1), List.of(4)),
                        new Member(op("QuantizeLinear", 3), List.of(5, 2, 3))),
                List.of(6),
                true);
        LayerGroup both = new LayerGroup(new IntegerLayer(TestOps.pointwise(), ElementType.UINT8, 0), group, 0);
        List<Operand> operands = List.of(
                new Operand.Variable(),
                new Operand.Variable(),
                new Operand.Constant(HostTensor.of(new float[] {0.5f})),
                new Operand.Constant(HostTensor.ofByte(ElementType.UINT8, 0)),
                new Operand.Constant(HostTensor.zeros(ElementType.FLOAT, channels, channels, 1, 1)),
                new Operand.Constant(HostTensor.zeros(ElementType.FLOAT, channels)));
        try (CpuDevice device = new CpuDevice(1);
                PreparedOp prepared = device.prepare(both, operands);
                Tensor x = device.upload(HostTensor.zeros(ElementType.UINT8, 2, channels, side, side));
                Tensor bias = device.upload(HostTensor.zeros(ElementType.FLOAT, channels, 1, 1))) {
            prepared.run(List.of(x, bias)).get(0).close();
            long before = device.memory().used();
            device.memory().forgetPeak();
            prepared.run(List.of(x, bias)).get(0).close();
            // The data once more, in the layer's layout, and the result; on other processors the output and more.
            boolean never = device.memory().peak() - before <= 2 * x.bytes() + 4096;
            assertThat(never).isEqualTo(OneDnn.multipliesBytes());
        }
    }

    private static OnnxOp op(String type, int inputs) {
        NodeProto.Builder node = NodeProto.newBuilder().setOpType(type).addOutput("y");
        for (int i = 0; i < inputs; i++) {
            node.addInput("x" + i);
        }
        return new OnnxOp(
                node.build(),
                List.of(),
                List.of(OperatorSetIdProto.newBuilder().setVersion(13).build()));
    }
}
