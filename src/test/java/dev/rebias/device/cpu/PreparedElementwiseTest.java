package dev.rebias.device.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.ElementwiseGroup.Member;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.TestOps;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What a group behind a layer does with memory. */
final class PreparedElementwiseTest {
    private static final int CHANNELS = 16;
    private static final int SIDE = 20;

    /** Where oneDNN does it, and a tensor has memory of its own; else there is a new tensor. */
    @Test
    void whatNobodyWantsBecomesTheOutput() {
        ElementwiseGroup group =
                new ElementwiseGroup(2, List.of(new Member(OnnxOp.add(), List.of(0, 1))), List.of(2), true);
        List<Operand> weights = List.of(
                new Operand.Variable(),
                new Operand.Constant(HostTensor.zeros(ElementType.FLOAT, CHANNELS, CHANNELS, 1, 1)),
                new Operand.Absent());
        try (CpuDevice device = new CpuDevice(1);
                PreparedOp convolution = device.prepare(TestOps.pointwise(), weights);
                PreparedOp prepared = device.prepare(group, List.of(new Operand.Variable(), new Operand.Variable()));
                Tensor x = device.upload(HostTensor.zeros(ElementType.FLOAT, 2, CHANNELS, SIDE, SIDE));
                Tensor bias = device.upload(HostTensor.of(new float[CHANNELS], CHANNELS, 1, 1));
                CpuTensor made = (CpuTensor) convolution.run(List.of(x)).get(0)) {
            try (CpuTensor y = (CpuTensor) prepared.run(List.of(made, bias)).get(0)) {
                assertThat(y.address()).isNotEqualTo(made.address());
            }
            try (CpuTensor y = (CpuTensor) prepared.run(List.of(made, bias), 1).get(0)) {
                assertThat(y.address()).isNotIn(made.address(), ((CpuTensor) bias).address());
            }
            try (CpuTensor view = made.reshape(Layout.CHANNELS_LAST, made.shape());
                    CpuTensor y =
                            (CpuTensor) prepared.run(List.of(made, bias), 0).get(0)) {
                assertThat(y.address()).isNotEqualTo(view.address());
            }
            try (CpuTensor y = (CpuTensor) prepared.run(List.of(made, bias), 0).get(0)) {
                assertThat(y.address() == made.address()).isEqualTo(OneDnn.multipliesBytes());
            }
        }
    }
}
