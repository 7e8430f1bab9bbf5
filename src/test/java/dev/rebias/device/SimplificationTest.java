package dev.rebias.device;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import dev.rebias.device.ElementwiseProgram.Code;
import dev.rebias.device.ElementwiseProgram.Instruction;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.ElementwiseGroup.Member;
import dev.rebias.op.OnnxOp;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Which instructions of elementwise programs can be left out or joined, and which cannot. */
final class SimplificationTest {
    private static final int X = 0;
    private static final int OTHER = 1;
    private static final int THREE = 2;
    private static final int ZERO = 3;
    private static final int SIX = 4;
    private static final int FIVE = 5;
    private static final int SIXTH = 6;
    private static final int SCALE = 7;
    private static final int ZERO_POINT = 8;
    /** The number of the first member's result. */
    private static final int FIRST = 9;

    private float scale = 6f / 255;
    private int zeroPoint;

    private static OnnxOp op(String type, float... parameters) {
        NodeProto.Builder node = NodeProto.newBuilder().setOpType(type).addOutput("y");
        String[] names = {"alpha", "beta"};
        for (int i = 0; i < parameters.length; i++) {
            node.addAttribute(AttributeProto.newBuilder()
                    .setName(names[i])
                    .setType(AttributeProto.AttributeType.FLOAT)
                    .setF(parameters[i]));
        }
        return new OnnxOp(
                node.build(),
                List.of(),
                List.of(OperatorSetIdProto.newBuilder().setVersion(13).build()));
    }

    private static Member member(String type, Integer... inputs) {
        return new Member(op(type), List.of(inputs));
    }

    private List<Code> codes(List<Member> members, Integer... outputs) {
        List<Operand> operands = new ArrayList<>(List.of(new Operand.Variable(), new Operand.Variable()));
        for (float v : new float[] {3, 0, 6, 5, 1f / 6, scale}) {
            operands.add(new Operand.Constant(HostTensor.of(new float[] {v})));
        }
        operands.add(new Operand.Constant(HostTensor.ofByte(ElementType.UINT8, zeroPoint)));
        List<Integer> of = outputs.length == 0 ? List.of(FIRST + members.size() - 1) : List.of(outputs);
        return ElementwiseProgram.of(new ElementwiseGroup(FIRST, members, of), operands)
                .orElseThrow()
                .instructions()
                .stream()
                .map(Instruction::code)
                .toList();
    }

    private static List<Member> swish(int upper, int shifted, int times, Member... last) {
        List<Member> members = new ArrayList<>(List.of(
                member("Add", shifted, THREE), member("Clip", FIRST, ZERO, upper), member("Mul", times, FIRST + 1)));
        members.addAll(List.of(last));
        return members;
    }

    @Test
    void hardSwishInItsPartsIsOneInstruction() {
        assertThat(codes(swish(SIX, X, X, member("Div", FIRST + 2, SIX)))).containsExactly(Code.HARD_SWISH);
        assertThat(codes(swish(SIX, X, X, member("Mul", SIXTH, FIRST + 2)))).containsExactly(Code.HARD_SWISH);
        assertThat(codes(List.of(
                        member("Add", THREE, X),
                        member("Clip", FIRST, ZERO, SIX),
                        member("Div", FIRST + 1, SIX),
                        member("Mul", FIRST + 2, X))))
                .containsExactly(Code.HARD_SWISH);
        assertThat(codes(List.of(new Member(op("HardSigmoid", 1f / 6, 0.5f), List.of(X)), member("Mul", FIRST, X))))
                .containsExactly(Code.HARD_SWISH);
    }

    @Test
    void whatIsNotQuiteHardSwishIsLeftAlone() {
        assertThat(codes(swish(FIVE, X, X, member("Div", FIRST + 2, SIX)))).hasSize(4);
        assertThat(codes(swish(SIX, OTHER, X, member("Div", FIRST + 2, SIX)))).hasSize(4);
        assertThat(codes(swish(SIX, X, X, member("Div", FIRST + 2, FIVE)))).hasSize(4);
        assertThat(codes(swish(SIX, X, X, member("Div", SIX, FIRST + 2)))).hasSize(4);
        assertThat(codes(List.of(new Member(op("HardSigmoid", 0.2f, 0.5f), List.of(X)), member("Mul", FIRST, X))))
                .hasSize(2);
    }

    @Test
    void partsOfHardSwishThatSomethingElseUsesStay() {
        assertThat(codes(swish(SIX, X, X, member("Div", FIRST + 2, SIX)), FIRST + 1, FIRST + 3))
                .containsExactly(Code.ADD, Code.CLIP, Code.HARD_SWISH);
    }

    private List<Member> quantized(String clip, Integer... inputs) {
        return List.of(member(clip, inputs), member("QuantizeLinear", FIRST, SCALE, ZERO_POINT));
    }

    @Test
    void clippingWhereTheQuantizerSaturatesIsNeedless() {
        assertThat(codes(quantized("Relu", X))).containsExactly(Code.QUANTIZE);
        assertThat(codes(quantized("Clip", X, ZERO, SIX))).containsExactly(Code.QUANTIZE);
    }

    @Test
    void clippingBeforeTheQuantizerSaturatesIsNot() {
        zeroPoint = 5;
        assertThat(codes(quantized("Relu", X))).containsExactly(Code.RELU, Code.QUANTIZE);
        zeroPoint = 0;
        scale = 0.1f;
        assertThat(codes(quantized("Clip", X, ZERO, SIX))).containsExactly(Code.CLIP, Code.QUANTIZE);
        assertThat(codes(quantized("Clip", X, THREE, SIX))).containsExactly(Code.CLIP, Code.QUANTIZE);
    }

    @Test
    void aClipThatIsAnOutputStays() {
        assertThat(codes(quantized("Relu", X), FIRST, FIRST + 1)).containsExactly(Code.RELU, Code.QUANTIZE);
    }
}
