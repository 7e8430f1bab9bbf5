package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import com.google.protobuf.ByteString;
import dev.rebias.CorrectionResult;
import dev.rebias.LayerResult;
import dev.rebias.runtime.WholeModel;
import dev.rebias.sweep.Reference;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The QOperator format: QLinearConv and QGemm compute what the same layers written as QDQ do, and get the same
 * corrections.
 */
final class QOperatorTest {
    private static final float DATA_SCALE = 0.03f;
    private static final int SAMPLES = 9;

    private final Random random = new Random(11);
    private final List<TensorProto> initializers = new ArrayList<>();
    private final List<NodeProto> operators = new ArrayList<>();
    private final List<NodeProto> qdq = new ArrayList<>();
    /** By layer, weights of which its integers are the rounded ones. */
    private final Map<String, float[]> weights = new HashMap<>();

    private String tensor(String name, TensorProto.DataType type, byte[] raw, int... dims) {
        TensorProto.Builder t = TensorProto.newBuilder()
                .setName(name)
                .setDataType(type.getNumber())
                .setRawData(ByteString.copyFrom(raw));
        for (int d : dims) {
            t.addDims(d);
        }
        initializers.add(t.build());
        return name;
    }

    private String floats(String name, float[] values, int... dims) {
        TensorProto.Builder t =
                TensorProto.newBuilder().setName(name).setDataType(TensorProto.DataType.FLOAT.getNumber());
        for (int d : dims) {
            t.addDims(d);
        }
        for (float v : values) {
            t.addFloatData(v);
        }
        initializers.add(t.build());
        return name;
    }

    private static NodeProto node(String type, String output, String... inputs) {
        return NodeProto.newBuilder()
                .setOpType(type)
                .setName(output)
                .addAllInput(List.of(inputs))
                .addOutput(output)
                .build();
    }

    /** Adds a layer of both forms; the data and the result are uint8 tensors. */
    private void layer(String name, String type, String data, int out, int in, int kernel) {
        boolean conv = type.equals("Conv");
        int[] dims = conv ? new int[] {out, in, kernel, kernel} : new int[] {out, in};
        byte[] integers = new byte[NaiveTensor.size(dims)];
        random.nextBytes(integers);
        String w = tensor(name + "_w", TensorProto.DataType.INT8, integers, dims);
        float[] scales = new float[out];
        for (int c = 0; c < out; c++) {
            scales[c] = 0.001f * (c + 1);
        }
        float[] floats = new float[integers.length];
        for (int i = 0; i < floats.length; i++) {
            floats[i] = (integers[i] + 8 * (random.nextFloat() - 0.4f)) * scales[i / (floats.length / out)];
        }
        weights.put(name, floats);
        String ws = floats(name + "_ws", scales, out);
        String wz = tensor(name + "_wz", TensorProto.DataType.INT8, new byte[out], out);
        TensorProto.Builder bias = TensorProto.newBuilder()
                .setName(name + "_b")
                .setDataType(TensorProto.DataType.INT32.getNumber())
                .addDims(out);
        float[] steps = new float[out];
        for (int c = 0; c < out; c++) {
            bias.addInt32Data(random.nextInt(2000) - 1000);
            steps[c] = scales[c] * DATA_SCALE;
        }
        initializers.add(bias.build());
        String bs = floats(name + "_bs", steps, out);
        NodeProto.Builder operator = NodeProto.newBuilder().setName(name).addOutput(name);
        if (conv) {
            operator.setOpType("QLinearConv").addAllInput(List.of(data, "s", "z", w, ws, wz, "s", "z", name + "_b"));
        } else {
            operator.setOpType("QGemm")
                    .setDomain("com.microsoft")
                    .addAllInput(List.of(data, "s", "z", w, ws, wz, name + "_b", "s", "z"));
            operator.addAttribute(GraphBuilder.integer("transB", 1));
        }
        operators.add(operator.build());
        qdq.add(node("DequantizeLinear", name + "_x", data, "s", "z"));
        NodeProto axis0 = node("DequantizeLinear", name + "_wf", w, ws, wz).toBuilder()
                .addAttribute(GraphBuilder.integer("axis", 0))
                .build();
        qdq.add(axis0);
        qdq.add(axis0.toBuilder()
                .clearInput()
                .addInput(name + "_b")
                .addInput(bs)
                .setName(name + "_bf")
                .setOutput(0, name + "_bf")
                .build());
        NodeProto.Builder plain = node(type, name + "_y", name + "_x", name + "_wf", name + "_bf").toBuilder();
        if (!conv) {
            plain.addAttribute(GraphBuilder.integer("transB", 1));
        }
        qdq.add(plain.build());
        qdq.add(node("QuantizeLinear", name, name + "_y", "s", "z"));
    }

    private ModelProto model(ModelProto inputsAndOutputs, List<NodeProto> nodes) {
        GraphProto.Builder graph = inputsAndOutputs.getGraph().toBuilder()
                .clearNode()
                .clearInitializer()
                .addAllInitializer(initializers)
                .addAllNode(nodes);
        return inputsAndOutputs.toBuilder()
                .setGraph(graph)
                .addOpsetImport(OperatorSetIdProto.newBuilder()
                        .setDomain("com.microsoft")
                        .setVersion(1))
                .build();
    }

    private ModelProto floating() {
        GraphBuilder g = new GraphBuilder(21);
        String a = g.node(
                "Conv",
                "a_y",
                List.of(
                        g.input("x", 3, 6, 6),
                        g.floats("fa", new int[] {4, 3, 3, 3}, weights.get("a")),
                        g.weights("ga", 0.3, 4)));
        String flat = g.node("Flatten", "flat", List.of(a));
        return g.build(g.node(
                "Gemm",
                "c_y",
                List.of(flat, g.floats("fc", new int[] {5, 64}, weights.get("c")), g.weights("gc", 0.3, 5)),
                GraphBuilder.integer("transB", 1)));
    }

    @Test
    void operatorsAreCorrectedAsTheSameLayersInQdqForm() {
        floats("s", new float[] {DATA_SCALE});
        tensor("z", TensorProto.DataType.UINT8, new byte[] {(byte) 128});
        NodeProto first = node("QuantizeLinear", "x_q", "x", "s", "z");
        operators.add(first);
        qdq.add(first);
        layer("a", "Conv", "x_q", 4, 3, 3);
        NodeProto flatten = node("Flatten", "flat", "a");
        operators.add(flatten);
        qdq.add(flatten);
        layer("c", "Gemm", "flat", 5, 64, 1);
        NodeProto last = node("DequantizeLinear", "c_y", "c", "s", "z");
        operators.add(last);
        ModelProto floating = floating();
        ModelProto operatorModel = model(floating, operators);
        // The float form's last tensor is the pre-activation itself.
        ModelProto qdqModel = model(floating, qdq);

        Map<String, NaiveTensor> samples = Toy.samples(floating, SAMPLES, 3);
        for (Reference reference : Reference.values()) {
            Map<String, NaiveCorrection.LayerCorrection> expected =
                    NaiveCorrection.correct(floating, qdqModel, samples, reference == Reference.NETWORK);
            CorrectionResult result = ToyCorrectionTest.correct(floating, operatorModel, samples, reference, 4);
            assertThat(result.correctedLayers()).isEqualTo(2);
            for (LayerResult layer : result.layers()) {
                double[] delta = expected.get(layer.output() + "_y").delta();
                for (int c = 0; c < delta.length; c++) {
                    assertThat((double) layer.moments().orElseThrow().delta()[c])
                            .isCloseTo(delta[c], within(1e-5));
                }
            }
            // The written operators keep int32 biases that ONNX Runtime takes, moved by whole steps.
            ModelProto written = result.model().proto();
            new WholeModel("written", written.toByteArray()).close();
            assertThat(written.getGraph().getNodeList())
                    .isEqualTo(operatorModel.getGraph().getNodeList());
            CorrectionResult second = ToyCorrectionTest.correct(floating, written, samples, reference, 4);
            assertThat(second.layers()).allMatch(l -> l.moments().orElseThrow().maxAbsDelta() == 0);
        }
    }

    /** QLinearConv as ONNX Runtime's optimiser writes it: of com.microsoft, its data with the channels last. */
    private static List<NodeProto> channelsLast(List<NodeProto> nodes) {
        List<NodeProto> out = new ArrayList<>();
        for (NodeProto node : nodes) {
            if (!node.getOpType().equals("QLinearConv")) {
                out.add(node);
                continue;
            }
            String name = node.getOutput(0);
            out.add(node("Transpose", name + "_x_last", node.getInput(0)).toBuilder()
                    .addAttribute(GraphBuilder.list("perm", 0, 2, 3, 1))
                    .build());
            out.add(node.toBuilder()
                    .setName(name + "_operator")
                    .setDomain("com.microsoft")
                    .addAttribute(GraphBuilder.integer("channels_last", 1))
                    .setInput(0, name + "_x_last")
                    .setOutput(0, name + "_last")
                    .build());
            out.add(node("Transpose", name, name + "_last").toBuilder()
                    .addAttribute(GraphBuilder.list("perm", 0, 3, 1, 2))
                    .build());
        }
        return out;
    }

    /** Where height, width and channels are alike, nothing but the attribute tells the layouts apart. */
    @ParameterizedTest
    @CsvSource({"6,3", "3,1", "3,3"})
    void channelsThatComeLastChangeNothing(int side, int kernel) {
        int out = side - kernel + 1;
        floats("s", new float[] {DATA_SCALE});
        tensor("z", TensorProto.DataType.UINT8, new byte[] {(byte) 128});
        operators.add(node("QuantizeLinear", "x_q", "x", "s", "z"));
        layer("a", "Conv", "x_q", 3, 3, kernel);
        GraphBuilder g = new GraphBuilder(side);
        String a = g.node(
                "Conv",
                "a_y",
                List.of(
                        g.input("x", 3, side, side),
                        g.floats("fa", new int[] {3, 3, kernel, kernel}, weights.get("a")),
                        g.weights("ga", 0.3, 3)));
        ModelProto floating = g.build(g.node("Flatten", "y", List.of(a)));
        operators.add(node("DequantizeLinear", "a_f", "a", "s", "z"));
        operators.add(node("Flatten", "y", "a_f"));
        ModelProto first = model(floating, operators);
        ModelProto last = model(floating, channelsLast(operators));
        Map<String, NaiveTensor> samples = Toy.samples(floating, SAMPLES, 3);
        Map<String, HostTensor> values = FileForms.tensors(samples);
        try (WholeModel a1 = new WholeModel("first", first.toByteArray());
                WholeModel a2 = new WholeModel("last", last.toByteArray())) {
            assertThat(a2.run(values).get("y").toFloats())
                    .isEqualTo(a1.run(values).get("y").toFloats())
                    .hasSize(SAMPLES * 3 * out * out);
        }
        for (Reference reference : Reference.values()) {
            CorrectionResult expected = ToyCorrectionTest.correct(floating, first, samples, reference, 4);
            CorrectionResult result = ToyCorrectionTest.correct(floating, last, samples, reference, 4);
            assertThat(result.correctedLayers()).isEqualTo(1);
            assertThat(result.layers().get(0).moments().orElseThrow().delta())
                    .isEqualTo(expected.layers().get(0).moments().orElseThrow().delta());
            assertThat(result.model().proto().getGraph().getNodeList())
                    .isEqualTo(last.getGraph().getNodeList());
        }
    }
}
