package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import com.google.protobuf.ByteString;
import dev.rebias.BiasCorrection;
import dev.rebias.error.UnsupportedException;
import dev.rebias.model.GraphReader;
import dev.rebias.model.OnnxModel;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Operators that nobody else can run, or that have no bias to correct, are named with their node, and with the way out.
 */
final class UnsupportedOperatorsTest {
    private static ModelProto with(NodeProto node) {
        GraphBuilder g = new GraphBuilder(3);
        g.node("Conv", "a", List.of(g.input("x", 3, 4, 4), g.weights("wa", 0.4, 4, 3, 1, 1)));
        g.weights("weights", 0.4, 2, 4, 1, 1);
        g.positive("scales", 2);
        g.tensor(TensorProto.newBuilder()
                .setName("packed")
                .setDataType(TensorProto.DataType.UINT8.getNumber())
                .addAllDims(List.of(2L, 1L, 8L))
                .setRawData(ByteString.copyFrom(new byte[16]))
                .build());
        ModelProto model = g.build("y");
        return model.toBuilder()
                .setGraph(model.getGraph().toBuilder().addNode(node))
                .build();
    }

    private static NodeProto.Builder node(String type, String domain) {
        return NodeProto.newBuilder()
                .setOpType(type)
                .setDomain(domain)
                .setName("the_node")
                .addInput("a")
                .addOutput("y");
    }

    private static void assertRefused(ModelProto model, String... parts) {
        assertThatThrownBy(() -> BiasCorrection.of(OnnxModel.of("m.onnx", model), OnnxModel.of("m.onnx", model)))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContainingAll(parts)
                .hasMessageNotContaining("same network");
    }

    @ParameterizedTest
    @CsvSource({
        "Quant,qonnx.custom_op.general,export_onnx_qcdq",
        "BipolarQuant,finn.custom_op.general,qonnx-convert",
        "Quant,onnx.brevitas,export_onnx_qcdq",
        "QcQuantizeOp,aimet.customop.cpu,to_onnx_qdq",
        "FakeQuantize,org.openvinotoolkit,nncf.strip",
        "ExtendedQuantizeLinear,com.amd.quark,QuantFormat.QDQ",
        "VitisQuantizeLinear,com.vai.quantize,QuantFormat.QDQ",
        "TRT_FP8QuantizeLinear,trt,QDQ",
        "Conv,com.microsoft.nchwc,before that optimisation",
        "Blorp,com.example,QDQ"
    })
    void operatorsOfOtherDomainsAreNamedWithTheWayOut(String type, String domain, String cure) {
        assertRefused(with(node(type, domain).build()), "'the_node'", "'m.onnx'", type, "'" + domain + "'", cure);
        // Within a branch, too.
        GraphProto branch = GraphProto.newBuilder()
                .setName("branch")
                .addNode(node(type, domain))
                .build();
        NodeProto condition = NodeProto.newBuilder()
                .setOpType("If")
                .setName("if")
                .addInput("a")
                .addOutput("y")
                .addAttribute(AttributeProto.newBuilder()
                        .setName("then_branch")
                        .setType(AttributeProto.AttributeType.GRAPH)
                        .setG(branch))
                .build();
        assertRefused(with(condition), "'the_node'", type, "'" + domain + "'", cure);
    }

    @ParameterizedTest
    @CsvSource({
        "ConvInteger,''",
        "MatMulInteger,''",
        "DynamicQuantizeLinear,''",
        "DynamicQuantizeMatMul,com.microsoft",
        "MatMulIntegerToFloat,com.microsoft"
    })
    void dynamicQuantisationIsNamedAndStaticQuantisationAdvised(String type, String domain) {
        assertRefused(
                with(node(type, domain).build()), "'the_node'", type, "dynamically", "quantise it statically", "QDQ");
    }

    @Test
    void aDynamicLayerIsNamedBeforeItsQuantiser() {
        ModelProto model =
                with(node("DynamicQuantizeLinear", "").setName("quantiser").build());
        ModelProto both = model.toBuilder()
                .setGraph(model.getGraph().toBuilder()
                        .addNode(node("ConvInteger", "").setOutput(0, "z")))
                .build();
        assertRefused(both, "'the_node'", "ConvInteger");
    }

    @ParameterizedTest
    @CsvSource({"FusedConv,before that optimisation", "MatMulNBits,QDQ"})
    void layersThatAnOptimiserMadeAreListedWithTheReason(String type, String reason) {
        boolean packed = type.equals("MatMulNBits");
        NodeProto.Builder node = node(type, "com.microsoft");
        if (packed) {
            node.addInput("packed")
                    .addInput("scales")
                    .addAttribute(GraphBuilder.integer("K", 4))
                    .addAttribute(GraphBuilder.integer("N", 2))
                    .addAttribute(GraphBuilder.integer("bits", 4))
                    .addAttribute(GraphBuilder.integer("block_size", 16));
        } else {
            node.addInput("weights");
        }
        var graph = GraphReader.read(OnnxModel.of("m.onnx", with(node.build())));
        assertThat(graph.notLayers()).anySatisfy(skipped -> {
            assertThat(skipped.name()).isEqualTo("the_node");
            assertThat(skipped.reason()).contains(reason);
        });
    }

    /** On the processors that most have, ONNX Runtime has this one for halves only. */
    @Test
    void aLayerThatOnnxRuntimeCannotRunHereIsRefusedWithTheReason() {
        NodeProto.Builder node = node("NhwcFusedConv", "com.microsoft").addInput("weights");
        assertRefused(with(node.build()), "'the_node'", "NhwcFusedConv", "ORT_ENABLE_BASIC");
    }
}
