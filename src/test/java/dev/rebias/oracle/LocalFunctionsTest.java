package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.FunctionProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import dev.rebias.CorrectionResult;
import dev.rebias.error.UnsupportedException;
import dev.rebias.model.OnnxModel;
import dev.rebias.runtime.WholeModel;
import dev.rebias.sweep.Reference;
import dev.rebias.tensor.HostTensor;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Local functions are written out where they are called: the model computes the same, and each call has layers of its
 * own.
 */
final class LocalFunctionsTest {
    private static final OperatorSetIdProto ONNX =
            OperatorSetIdProto.newBuilder().setVersion(13).build();
    private static final OperatorSetIdProto OWN =
            OperatorSetIdProto.newBuilder().setDomain("local").setVersion(1).build();

    private static NodeProto.Builder node(String type, String name, List<String> inputs, String output) {
        return NodeProto.newBuilder()
                .setOpType(type)
                .setName(name)
                .addAllInput(inputs)
                .addOutput(output);
    }

    private static AttributeProto reference(String name, String of, AttributeProto.AttributeType type) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setRefAttrName(of)
                .setType(type)
                .build();
    }

    /** Conv with the call's strides, then a branch on a constant that sees the function's tensors. */
    private static FunctionProto block() {
        GraphProto then = GraphProto.newBuilder()
                .setName("then")
                .addNode(node("Relu", "", List.of("t"), "inner"))
                .addOutput(ValueInfoProto.newBuilder().setName("inner"))
                .build();
        GraphProto other = GraphProto.newBuilder()
                .setName("other")
                .addNode(node("Identity", "", List.of("t"), "inner"))
                .addOutput(ValueInfoProto.newBuilder().setName("inner"))
                .build();
        return FunctionProto.newBuilder()
                .setName("Block")
                .setDomain("local")
                .addOpsetImport(ONNX)
                .addAllInput(List.of("x", "w", "b"))
                .addOutput("y")
                .addAttribute("strides")
                .addAttributeProto(GraphBuilder.real("slope", 0.25f))
                .addNode(node("Conv", "conv", List.of("x", "w", "b"), "t")
                        .addAttribute(reference("strides", "strides", AttributeProto.AttributeType.INTS)))
                .addNode(node("Constant", "", List.of(), "condition")
                        .clearInput()
                        .addAttribute(AttributeProto.newBuilder()
                                .setName("value")
                                .setType(AttributeProto.AttributeType.TENSOR)
                                .setT(ai.onnx.proto.OnnxMl.TensorProto.newBuilder()
                                        .setDataType(9)
                                        .addInt32Data(1))))
                .addNode(node("If", "", List.of("condition"), "i")
                        .addAttribute(graph("then_branch", then))
                        .addAttribute(graph("else_branch", other)))
                .addNode(node("LeakyRelu", "", List.of("i"), "y")
                        .addAttribute(reference("alpha", "slope", AttributeProto.AttributeType.FLOAT)))
                .build();
    }

    private static AttributeProto graph(String name, GraphProto graph) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeProto.AttributeType.GRAPH)
                .setG(graph)
                .build();
    }

    /** A function that calls the other twice, its last input left out the second time. */
    private static FunctionProto nested() {
        return FunctionProto.newBuilder()
                .setName("Twice")
                .setDomain("local")
                .addAllOpsetImport(List.of(ONNX, OWN))
                .addAllInput(List.of("x", "w1", "w2", "b"))
                .addAllOutput(List.of("y", "z"))
                .addNode(node("Block", "first", List.of("x", "w1", "b"), "t")
                        .setDomain("local")
                        .addAttribute(GraphBuilder.list("strides", 2, 2)))
                .addNode(node("Block", "second", List.of("t", "w2", ""), "y").setDomain("local"))
                .addNode(node("Identity", "", List.of("x"), "z"))
                .build();
    }

    private static ModelProto model(boolean named) {
        GraphBuilder g = new GraphBuilder(77);
        g.input("x", 3, 8, 8);
        g.weights("w1", 0.4, 5, 3, 3, 3);
        g.weights("w2", 0.4, 4, 5, 1, 1);
        g.weights("b", 0.3, 5);
        // A tensor that has the name which the inlined one would get.
        g.node("Relu", "call/t", List.of("x"));
        ModelProto model = g.build("y", "copy");
        return model.toBuilder()
                .addOpsetImport(OWN)
                .setIrVersion(8)
                .addFunctions(nested())
                .addFunctions(block())
                .setGraph(model.getGraph().toBuilder()
                        .addNode(node("Twice", named ? "call" : "", List.of("call/t", "w1", "w2", "b"), "y")
                                .addOutput("copy")
                                .setDomain("local")))
                .build();
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void theInlinedModelComputesTheSame(boolean named) {
        ModelProto model = model(named);
        OnnxModel inlined = OnnxModel.of("m", model);
        assertThat(inlined.proto().getFunctionsCount()).isZero();
        assertThat(inlined.proto().getGraph().getNodeList())
                .noneMatch(n -> n.getDomain().equals("local"));
        Map<String, HostTensor> x = FileForms.tensors(Toy.samples(model, 3, 1));
        try (WholeModel with = new WholeModel("with", model.toByteArray());
                WholeModel without = new WholeModel("without", inlined.proto().toByteArray())) {
            Map<String, HostTensor> expected = with.run(x);
            Map<String, HostTensor> got = without.run(x);
            assertThat(got.keySet()).isEqualTo(expected.keySet());
            expected.forEach((name, t) -> assertThat(got.get(name).toFloats()).isEqualTo(t.toFloats()));
        }
    }

    @Test
    void everyCallsLayersAreCorrected() {
        ModelProto model = model(true);
        CorrectionResult result = FileForms.correct(
                OnnxModel.of("f", model),
                OnnxModel.of("q", RoundedWeights.of(OnnxModel.of("m", model).proto(), 3)),
                FileForms.tensors(Toy.samples(model, 5, 1)),
                Reference.LAYER,
                2,
                "cpu");
        assertThat(result.correctedLayers()).isEqualTo(2);
        assertThat(result.layers().get(0).moments().orElseThrow().maxAbsDelta()).isPositive();
    }

    /** A file of a few kilobytes that would be a thousand million nodes. */
    @Test
    void functionsThatCallEachOtherTwiceEachAreRefused() {
        GraphBuilder g = new GraphBuilder(1);
        g.input("x", 3, 8, 8);
        ModelProto.Builder model = g.build("y").toBuilder().addOpsetImport(OWN).setIrVersion(8);
        for (int i = 0; i < 30; i++) {
            String inner = i < 29 ? "F" + (i + 1) : "Relu";
            String domain = i < 29 ? "local" : "";
            model.addFunctions(FunctionProto.newBuilder()
                    .setName("F" + i)
                    .setDomain("local")
                    .addAllOpsetImport(List.of(ONNX, OWN))
                    .addInput("a")
                    .addOutput("c")
                    .addNode(node(inner, "", List.of("a"), "b").setDomain(domain))
                    .addNode(node(inner, "", List.of("b"), "c").setDomain(domain)));
        }
        model.getGraphBuilder().addNode(node("F0", "", List.of("x"), "y").setDomain("local"));
        assertThatThrownBy(() -> OnnxModel.of("m.onnx", model.build()))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContainingAll("m.onnx", "local functions", "nodes");
    }
}
