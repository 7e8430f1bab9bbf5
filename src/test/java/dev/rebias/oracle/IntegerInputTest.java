package dev.rebias.oracle;

import static dev.rebias.oracle.GraphBuilder.list;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import com.google.protobuf.ByteString;
import dev.rebias.BiasCorrection;
import dev.rebias.device.TestDevices;
import dev.rebias.error.UnsupportedException;
import dev.rebias.model.OnnxModel;
import dev.rebias.runtime.WholeModel;
import dev.rebias.samples.Batches;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** A quantised model whose QuantizeLinear at the input was cut off is corrected as the one that has it. */
@Tag("cuda")
final class IntegerInputTest {
    /** What lies between the input and its DequantizeLinears. */
    private enum Between {
        NOTHING,
        TRANSPOSE,
        TWO_DEQUANTISERS,
        WITHOUT_ZERO_POINT
    }

    private static ModelProto floating(Between between) {
        GraphBuilder g = new GraphBuilder(41);
        String x = g.input("x", 3, 3, 3);
        String data = between == Between.TRANSPOSE ? g.node("Transpose", "t", List.of(x), list("perm", 0, 2, 1, 3)) : x;
        String a = g.node("Conv", "a", List.of(data, g.weights("wa", 0.4, 4, 3, 1, 1), g.weights("ba", 0.2, 4)));
        String b = g.node("Conv", "b", List.of(data, g.weights("wb", 0.4, 4, 3, 1, 1), g.weights("bb", 0.2, 4)));
        return g.build(g.node("Add", "y", List.of(a, b)));
    }

    private static TensorProto.Builder scalar(String name, DataType type) {
        return TensorProto.newBuilder().setName(name).setDataType(type.getNumber());
    }

    private static NodeProto node(String type, String output, String... inputs) {
        return NodeProto.newBuilder()
                .setOpType(type)
                .setName(output + "_node")
                .addAllInput(List.of(inputs))
                .addOutput(output)
                .build();
    }

    /** The model with rounded weights and a quantised input; that of integers, or floats and a QuantizeLinear. */
    private static ModelProto quantized(Between between, DataType type, boolean cut, float second) {
        ModelProto rounded = RoundedWeights.of(floating(between), 4);
        GraphProto.Builder graph = rounded.getGraph().toBuilder();
        graph.addInitializer(scalar("s", DataType.FLOAT).addFloatData(0.05f));
        graph.addInitializer(scalar("s2", DataType.FLOAT).addFloatData(second));
        boolean zero = between != Between.WITHOUT_ZERO_POINT;
        graph.addInitializer(scalar("z", type)
                .setRawData(ByteString.copyFrom(new byte[] {(byte) (zero ? type == DataType.UINT8 ? 120 : -7 : 0)})));
        List<NodeProto> old = List.copyOf(graph.getNodeList());
        graph.clearNode();
        String integers = "x";
        if (cut) {
            graph.getInputBuilder(0).getTypeBuilder().getTensorTypeBuilder().setElemType(type.getNumber());
        } else {
            graph.addNode(node("QuantizeLinear", "x_q", "x", "s", "z"));
            integers = "x_q";
        }
        for (NodeProto n : old) {
            if (n.getOpType().equals("Transpose")) {
                graph.addNode(n.toBuilder().setInput(0, integers));
                integers = "t";
            }
        }
        String[] operands = zero ? new String[] {integers, "s", "z"} : new String[] {integers, "s"};
        graph.addNode(node("DequantizeLinear", "xa", operands));
        operands[1] = "s2";
        graph.addNode(node("DequantizeLinear", "xb", operands));
        for (NodeProto n : old) {
            if (n.getOpType().equals("Conv")) {
                boolean two = between == Between.TWO_DEQUANTISERS || second != 0.05f;
                graph.addNode(n.toBuilder().setInput(0, n.getOutput(0).equals("b") && two ? "xb" : "xa"));
            } else if (!n.getOpType().equals("Transpose")) {
                graph.addNode(n);
            }
        }
        return rounded.toBuilder().setGraph(graph).build();
    }

    static Stream<Arguments> forms() {
        return TestDevices.names().stream()
                .flatMap(d -> Stream.of(Between.values()).flatMap(b -> Stream.of(DataType.UINT8, DataType.INT8)
                        .filter(t -> b != Between.WITHOUT_ZERO_POINT || t == DataType.UINT8)
                        .map(t -> Arguments.of(d, b, t))));
    }

    @ParameterizedTest
    @MethodSource("forms")
    void correctedAsWithItsQuantiser(String device, Between between, DataType type) {
        OnnxModel floating = OnnxModel.of("f", floating(between));
        OnnxModel cut = OnnxModel.of("cut", quantized(between, type, true, 0.05f));
        OnnxModel whole = OnnxModel.of("whole", quantized(between, type, false, 0.05f));
        Map<String, HostTensor> samples = FileForms.tensors(Toy.samples(floating.proto(), 7, 3));
        for (Reference reference : Reference.values()) {
            Map<String, float[]> expected =
                    FileForms.deltas(FileForms.correct(floating, whole, samples, reference, 3, device));
            var result = FileForms.correct(floating, cut, samples, reference, 3, device);
            assertThat(expected).hasSize(2);
            FileForms.deltas(result).forEach((layer, delta) -> assertThat(delta).isEqualTo(expected.get(layer)));
            assertThat(result.model().proto().getGraph().getNodeList())
                    .isEqualTo(cut.proto().getGraph().getNodeList());
        }
        BiasCorrection correction = BiasCorrection.of(floating, cut);
        try (Samples in = Samples.of(samples);
                Batches batches = in.bind(correction.inputs()).batches(7);
                WholeModel file = new WholeModel("cut", cut.proto().toByteArray());
                WholeModel other = new WholeModel("whole", whole.proto().toByteArray())) {
            HostTensor integers = batches.next().get(0);
            assertThat(integers.type()).isEqualTo(ElementType.valueOf(type.name()));
            // The file runs on them as the one with its quantiser does on the floats.
            assertThat(file.run(Map.of("x", integers)).get("y").toFloats())
                    .isEqualTo(other.run(samples).get("y").toFloats());
            assertThat(correction.floatInputs().get("x").type()).isEqualTo(ElementType.FLOAT);
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = Between.class,
            names = {"NOTHING", "TRANSPOSE"})
    void severalScalesAreRefusedByNode(Between between) {
        assertThatThrownBy(() -> BiasCorrection.of(
                        OnnxModel.of("f", floating(between)),
                        OnnxModel.of("q", quantized(between, DataType.UINT8, true, 0.06f))))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContainingAll("input 'x' of 'q'", "UINT8", "several scales", "xb_node", "QuantizeLinear");
    }
}
