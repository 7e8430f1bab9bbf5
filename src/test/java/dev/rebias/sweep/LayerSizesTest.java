package dev.rebias.sweep;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnx.proto.OnnxMl.AttributeProto;
import dev.rebias.device.Operand;
import dev.rebias.op.LayerGroup;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.Op;
import dev.rebias.op.TestOps;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/**
 * How large the outputs of a plan's layers are: pointwise convolutions, and what lies between them. Tensor 0 is the
 * data, the others are numbered by the step that makes them.
 */
final class LayerSizesTest {
    private static final long[] DATA = {1, 4, 10, 12};

    private static Step.Run layer(int input, int output, int in, int out) {
        List<Operand> operands = List.of(
                new Operand.Variable(),
                new Operand.Constant(HostTensor.zeros(ElementType.FLOAT, out, in, 1, 1)),
                new Operand.Absent());
        return new Step.Run(
                "layer", Step.Purpose.QUANTIZED, TestOps.pointwise(), operands, List.of(input), List.of(output));
    }

    private static Step.Run other(Op op, List<Integer> inputs, int output) {
        List<Operand> operands =
                inputs.stream().<Operand>map(i -> new Operand.Variable()).toList();
        return new Step.Run("other", Step.Purpose.OTHER, op, operands, inputs, List.of(output));
    }

    private static AttributeProto two(String name) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeProto.AttributeType.INTS)
                .addInts(2)
                .addInts(2)
                .build();
    }

    private static long mean(Step... steps) {
        Plan.Segment segment = new Plan.Segment(List.of(steps), List.of(), List.of());
        return new Plan(Reference.LAYER, true, List.of(), List.of(), List.of(0), List.of(segment), 9)
                .meanOutputBytes(List.of(DATA));
    }

    @Test
    void layersOneBehindTheOther() {
        assertThat(mean(layer(0, 1, 4, 8), layer(1, 2, 8, 2))).isEqualTo(Float.BYTES * (8 + 2) * 10 * 12 / 2);
    }

    @Test
    void elementwiseOperationsAndPoolingBetweenThem() {
        assertThat(mean(
                        layer(0, 1, 4, 8),
                        other(TestOps.node("Relu"), List.of(1), 2),
                        other(OnnxOp.add(), List.of(8, 2), 3),
                        other(TestOps.node("MaxPool", two("kernel_shape"), two("strides")), List.of(3), 4),
                        layer(4, 5, 8, 16)))
                .isEqualTo(Float.BYTES * (8 * 10 * 12 + 16 * 5 * 6) / 2);
    }

    @Test
    void whatIsBehindOtherOperationsDoesNotCount() {
        assertThat(mean(layer(0, 1, 4, 8), other(TestOps.node("Reshape"), List.of(1), 2), layer(2, 3, 8, 100)))
                .isEqualTo(Float.BYTES * 8 * 10 * 12);
    }

    /** As squeeze and excitation end: a layer on one value per channel, and what its output multiplies. */
    @Test
    void aLayerWithWhatFollowsItHasTheShapeOfTheLargest() {
        Step.Run small = layer(3, 4, 8, 8);
        Step joined = Fusion.fuse(List.of(small, other(OnnxOp.add(), List.of(4, 1), 5)), Set.of(5), Set.of(1, 4))
                .get(0);
        assertThat(((Step.Run) joined).op()).isInstanceOf(LayerGroup.class);
        long whole = 8 * 10 * 12;
        // Where the small one's size is not known it does not count.
        assertThat(mean(layer(0, 1, 4, 8), joined, layer(5, 6, 8, 8))).isEqualTo(Float.BYTES * whole);
        Step pooled = other(TestOps.node("AveragePool", two("kernel_shape"), two("strides")), List.of(1), 3);
        assertThat(mean(layer(0, 1, 4, 8), pooled, joined, layer(5, 6, 8, 8)))
                .isEqualTo(Float.BYTES * (2 * whole + whole / 4) / 3);
    }

    /** As residual connections begin: what follows a layer is wanted before and after its activation. */
    @Test
    void allOutputsOfAStepHaveItsShape() {
        Step joined = Fusion.fuse(
                        List.of(
                                layer(0, 1, 4, 8),
                                other(OnnxOp.add(), List.of(1, 8), 2),
                                other(TestOps.node("Relu"), List.of(2), 3)),
                        Set.of(2, 3),
                        Set.of(1))
                .get(0);
        assertThat(((Step.Run) joined).outputs()).containsExactly(2, 3);
        assertThat(mean(joined, layer(2, 4, 8, 2), layer(3, 5, 8, 2)))
                .isEqualTo(Float.BYTES * (8 + 2 + 2) * 10 * 12 / 3);
    }

    @Test
    void whatDoesNotFitIsLeftToTheRun() {
        assertThat(mean(layer(0, 1, 4, 8), layer(1, 2, 7, 100))).isEqualTo(Float.BYTES * 8 * 10 * 12);
    }

    @Test
    void withoutLayersTheInputs() {
        assertThat(mean(other(TestOps.node("Relu"), List.of(0), 1))).isEqualTo(Float.BYTES * 4 * 10 * 12);
    }
}
