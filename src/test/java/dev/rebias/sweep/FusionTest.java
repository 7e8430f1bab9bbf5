package dev.rebias.sweep;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.device.Operand;
import dev.rebias.measure.Role;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.Gemm;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerGroup;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.Op;
import dev.rebias.op.TestOps;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Which steps become one. Tensor 0 is the data, 1 the layer's output, 2 a corrected bias. */
final class FusionTest {
    private static final Set<Integer> COMPUTED = Set.of(1);

    private static Step.Run layer() {
        return layer(new IntegerLayer(TestOps.pointwise(), ElementType.UINT8, 0));
    }

    private static Step.Run layer(Op op) {
        List<Operand> operands = List.of(
                new Operand.Variable(),
                new Operand.Constant(HostTensor.zeros(ElementType.FLOAT, 4, 4, 1, 1)),
                new Operand.Constant(HostTensor.zeros(ElementType.FLOAT, 4)));
        return new Step.Run("layer", Step.Purpose.QUANTIZED, op, operands, List.of(0), List.of(1));
    }

    private static Step.Run add(int first, int second, int output) {
        return new Step.Run(
                "add",
                Step.Purpose.OTHER,
                OnnxOp.add(),
                List.of(new Operand.Variable(), new Operand.Variable()),
                List.of(first, second),
                List.of(output));
    }

    private static List<Op> ops(List<Step> steps) {
        return steps.stream().map(s -> ((Step.Run) s).op()).toList();
    }

    @Test
    void aLayerAndWhatFollowsIt() {
        List<Step> steps = Fusion.fuse(List.of(layer(), add(2, 1, 3)), Set.of(3), COMPUTED);
        assertThat(ops(steps)).singleElement().isInstanceOf(LayerGroup.class);
        Step.Run both = (Step.Run) steps.get(0);
        assertThat(both.inputs()).containsExactly(2, 0);
        assertThat(((LayerGroup) both.op()).place()).isEqualTo(1);
        assertThat(both.outputs()).containsExactly(3);
        assertThat(both.operands()).hasSize(4);
    }

    @Test
    void aLayerOnFloatsToo() {
        List<Step> steps = Fusion.fuse(List.of(layer(TestOps.pointwise()), add(1, 2, 3)), Set.of(3), COMPUTED);
        assertThat(ops(steps)).singleElement().isInstanceOf(LayerGroup.class);
        assertThat(((LayerGroup) ops(steps).get(0)).layer()).isEqualTo(TestOps.pointwise());
    }

    /** No device has one primitive for both. */
    @Test
    void notAMatrixProduct() {
        List<Step> steps = Fusion.fuse(List.of(layer(new Gemm(1, false, true)), add(1, 2, 3)), Set.of(3), COMPUTED);
        assertThat(ops(steps)).hasSize(2);
    }

    @Test
    void notWhereTheOutputIsWantedLater() {
        List<Step> steps = Fusion.fuse(List.of(layer(), add(1, 2, 3)), Set.of(1, 3), COMPUTED);
        assertThat(ops(steps)).hasSize(2).last().isInstanceOf(ElementwiseGroup.class);
    }

    @Test
    void notWhereSomethingElseUsesTheOutputToo() {
        List<Step> steps = Fusion.fuse(
                List.of(layer(), add(1, 2, 3), new Step.Measure(0, Role.INPUT, List.of(1))), Set.of(3), COMPUTED);
        assertThat(steps).hasSize(3);
    }
}
