package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rebias.cli.CommandLineRun;
import dev.rebias.oracle.WeightForm.Place;
import dev.rebias.oracle.WeightForm.Scales;
import dev.rebias.runtime.WholeModel;
import dev.rebias.samples.NpyWriter;
import dev.rebias.tensor.HostTensor;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * {@code --adjust weights} on files that store their weights in every way that can be written: only weights, biases and
 * metadata change, weights keep to their grid and to the integers that their layer uses, the written file is verified,
 * its outputs come nearer to the float network's than with biases alone, as ONNX Runtime computes them, and
 * {@code undo} brings the first file back.
 */
final class AdjustedFormsTest {
    private static final int SAMPLES = 80;
    private static final int CHANNELS = 6;
    private static final int SIDE = 8;
    private static final float STEP = 0.05f;
    private static final int ZERO = 128;

    @TempDir
    Path folder;

    private static Stream<Arguments> forms() {
        Map<String, WeightForm> forms = new LinkedHashMap<>();
        forms.put("int4", form(DataType.INT4, -7, 7, false, Scales.CHANNEL, Place.DEQUANTIZED, true));
        forms.put("int4 of all 16 values", form(DataType.INT4, -8, 7, true, Scales.TENSOR, Place.DEQUANTIZED, false));
        forms.put("int4 of 3 bits", form(DataType.INT4, -3, 3, false, Scales.CHANNEL, Place.DEQUANTIZED, true));
        forms.put("uint4", form(DataType.UINT4, 0, 15, true, Scales.CHANNEL, Place.DEQUANTIZED, true));
        forms.put("int4 in blocks", form(DataType.INT4, -7, 7, false, Scales.BLOCK, Place.DEQUANTIZED, true));
        forms.put("uint4 in blocks", form(DataType.UINT4, 0, 15, true, Scales.BLOCK, Place.DEQUANTIZED, true));
        forms.put("int8 in blocks", form(DataType.INT8, -3, 3, false, Scales.BLOCK, Place.DEQUANTIZED, true));
        forms.put("int8 of 7 bits", form(DataType.INT8, -63, 63, false, Scales.CHANNEL, Place.DEQUANTIZED, true));
        forms.put("int8 of 3 bits", form(DataType.INT8, -3, 3, false, Scales.CHANNEL, Place.DEQUANTIZED, false));
        forms.put("uint8", form(DataType.UINT8, 0, 255, true, Scales.TENSOR, Place.DEQUANTIZED, true));
        forms.put("uint8 of 4 bits", form(DataType.UINT8, 0, 15, true, Scales.CHANNEL, Place.DEQUANTIZED, true));
        forms.put("requantised", form(DataType.INT8, -127, 127, false, Scales.CHANNEL, Place.REQUANTIZED, true));
        forms.put("requantised uint8", form(DataType.UINT8, 0, 255, true, Scales.TENSOR, Place.REQUANTIZED, false));
        forms.put("requantised to 3 bits", form(DataType.INT8, -3, 3, false, Scales.CHANNEL, Place.REQUANTIZED, true));
        forms.put("floats", form(DataType.FLOAT, -7, 7, false, Scales.TENSOR, Place.FLOATS, true));
        forms.put("floats, by channel", form(DataType.FLOAT, -7, 7, false, Scales.CHANNEL, Place.FLOATS, false));
        forms.put("operators", form(DataType.INT8, -127, 127, false, Scales.CHANNEL, Place.OPERATOR, true));
        forms.put("operators, uint8", form(DataType.UINT8, 0, 255, true, Scales.TENSOR, Place.OPERATOR, true));
        forms.put("operators, few bits", form(DataType.INT8, -3, 3, false, Scales.CHANNEL, Place.OPERATOR, true));
        return forms.entrySet().stream().map(e -> Arguments.of(e.getKey(), e.getValue()));
    }

    private static WeightForm form(
            DataType type, int low, int high, boolean asymmetric, Scales scales, Place place, boolean raw) {
        return new WeightForm(type, low, high, asymmetric, scales, place, raw);
    }

    /** The network, float and quantised: a convolution, a depthwise and a pointwise one, a Gemm, and a MatMul. */
    private static final class Network {
        private final GraphBuilder graph = new GraphBuilder(3).opset(21);
        private final Random random = new Random(4);
        private final WeightForm form;
        private final boolean quantized;
        private final boolean operators;
        private final Map<String, WeightForm.Stored> weights = new LinkedHashMap<>();
        private final List<String> biases = new ArrayList<>();

        Network(WeightForm form, boolean quantized) {
            this.form = form;
            this.quantized = quantized;
            this.operators = quantized && form.place() == Place.OPERATOR;
        }

        ModelProto build() {
            if (quantized) {
                graph.floats("s", new int[0], STEP);
                graph.tensor(bytes("z", DataType.UINT8, ZERO));
            }
            String x = data("x_in", graph.input("x", CHANNELS, SIDE, SIDE));
            x = layer("Conv", "a", x, new int[] {8, CHANNELS, 3, 3}, true, GraphBuilder.list("pads", 1, 1, 1, 1));
            x = layer("Conv", "b", x, new int[] {8, 1, 3, 3}, true, GraphBuilder.integer("group", 8));
            x = layer("Conv", "c", x, new int[] {4, 8, 1, 1}, true);
            x = graph.node("Flatten", "flat", List.of(x));
            x = layer("Gemm", "d", x, new int[] {10, 144}, true, GraphBuilder.integer("transB", 1));
            x = layer("MatMul", "e", x, new int[] {10, 5}, false);
            if (operators) {
                x = graph.node("DequantizeLinear", "e_y", List.of(x, "s", "z"));
            }
            x = graph.node("Add", "y", List.of(x, graph.weights("e_b", 0.1, 5)));
            biases.add("e_b");
            ModelProto model = graph.build(x);
            return operators
                    ? model.toBuilder()
                            .addOpsetImport(OperatorSetIdProto.newBuilder()
                                    .setDomain("com.microsoft")
                                    .setVersion(1))
                            .build()
                    : model;
        }

        private static TensorProto bytes(String name, DataType type, int value) {
            return TensorProto.newBuilder()
                    .setName(name)
                    .setDataType(type.getNumber())
                    .addInt32Data(value)
                    .build();
        }

        private String data(String name, String x) {
            if (!quantized || form.place() == Place.FLOATS) {
                return x;
            }
            String integers = graph.node("QuantizeLinear", name + "_q", List.of(x, "s", "z"));
            return operators ? integers : graph.node("DequantizeLinear", name, List.of(integers, "s", "z"));
        }

        private String layer(
                String type, String name, String x, int[] shape, boolean biased, AttributeProto... attributes) {
            int fanIn = type.equals("MatMul") ? shape[0] : NaiveTensor.size(shape) / shape[0];
            float[] values = new float[NaiveTensor.size(shape)];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) (random.nextGaussian() / Math.sqrt(fanIn));
            }
            int channelAxis = type.equals("MatMul") ? 1 : 0;
            int channels = shape[channelAxis];
            float[] bias = new float[channels];
            for (int c = 0; c < channels; c++) {
                bias[c] = (float) (0.1 * random.nextGaussian());
            }
            if (!quantized) {
                List<String> inputs = new ArrayList<>(List.of(x, graph.floats(name + "_w", shape, values)));
                if (biased) {
                    inputs.add(graph.floats(name + "_b", new int[] {channels}, bias));
                }
                return graph.node(type, name, inputs, attributes);
            }
            boolean depthwise = type.equals("Conv") && shape[1] == 1;
            int blockAxis = depthwise || type.equals("MatMul") ? 0 : 1;
            WeightForm.Stored stored = form.stored(values, shape, channelAxis, blockAxis, blockAxis == 0 ? 4 : 3);
            weights.put(name + "_w", stored);
            if (operators) {
                return operator(type, name, x, stored, bias, biased, attributes);
            }
            List<String> inputs = new ArrayList<>(
                    List.of(x, dequantized(name, values, stored, channelAxis, blockAxis, blockAxis == 0 ? 4 : 3)));
            if (biased) {
                inputs.add(graph.floats(name + "_b", new int[] {channels}, bias));
                biases.add(name + "_b");
            }
            String y = graph.node(type, name, inputs, attributes);
            return type.equals("MatMul") ? y : data(name + "_d", y);
        }

        private String dequantized(
                String name, float[] values, WeightForm.Stored stored, int channelAxis, int blockAxis, int block) {
            String w = name + "_w";
            if (form.place() == Place.FLOATS) {
                return graph.tensor(form.floats(w, stored.shape(), stored.rounded()));
            }
            String s = graph.tensor(form.floats(w + "s", stored.scaleShape(), stored.scales()));
            String z = graph.tensor(form.integers(w + "z", stored.scaleShape(), stored.zeros()));
            boolean blocks = form.scales() == Scales.BLOCK;
            List<AttributeProto> axis =
                    new ArrayList<>(List.of(GraphBuilder.integer("axis", blocks ? blockAxis : channelAxis)));
            if (blocks) {
                axis.add(GraphBuilder.integer("block_size", block));
            }
            AttributeProto[] attributes = axis.toArray(AttributeProto[]::new);
            String integers = form.place() == Place.REQUANTIZED
                    ? graph.node(
                            "QuantizeLinear",
                            w + "q",
                            List.of(graph.tensor(form.floats(w, stored.shape(), values)), s, z),
                            attributes)
                    : graph.tensor(form.integers(w, stored.shape(), stored.integers()));
            return graph.node("DequantizeLinear", w + "d", List.of(integers, s, z), attributes);
        }

        private String operator(
                String type,
                String name,
                String x,
                WeightForm.Stored stored,
                float[] bias,
                boolean biased,
                AttributeProto... attributes) {
            String w = graph.tensor(form.integers(name + "_w", stored.shape(), stored.integers()));
            String ws = graph.tensor(form.floats(w + "s", stored.scaleShape(), stored.scales()));
            String wz = graph.tensor(form.integers(w + "z", stored.scaleShape(), stored.zeros()));
            List<String> inputs = new ArrayList<>(List.of(x, "s", "z", w, ws, wz));
            List<String> output = List.of("s", "z");
            if (!type.equals("Gemm")) {
                inputs.addAll(output);
            }
            if (biased) {
                TensorProto.Builder t = TensorProto.newBuilder()
                        .setName(name + "_b")
                        .setDataType(DataType.INT32.getNumber())
                        .addDims(bias.length);
                for (int c = 0; c < bias.length; c++) {
                    t.addInt32Data(Math.round(bias[c] / (STEP * stored.scales()[c % stored.scales().length])));
                }
                inputs.add(graph.tensor(t.build()));
                biases.add(name + "_b");
            }
            if (type.equals("Gemm")) {
                inputs.addAll(output);
            }
            return type.equals("Gemm")
                    ? graph.node("com.microsoft", "QGemm", name, inputs, attributes)
                    : graph.node("", "QLinear" + type, name, inputs, attributes);
        }
    }

    private static float[] data(long seed) {
        Random random = new Random(seed);
        float[] x = new float[SAMPLES * CHANNELS * SIDE * SIDE];
        float last = 0;
        for (int i = 0; i < x.length; i++) {
            last = (float) (0.8 * last + 0.5 * random.nextGaussian());
            x[i] = last + 0.3f;
        }
        return x;
    }

    private void write(String name, ModelProto model) throws IOException {
        Files.write(folder.resolve(name), model.toByteArray());
    }

    private String run(int exitCode, String... arguments) {
        CommandLineRun.Captured run = CommandLineRun.captured(arguments);
        assertThat(run.exitCode()).as(run::said).isEqualTo(exitCode);
        return run.said();
    }

    private JsonNode corrected(String adjust, String reference) throws IOException {
        ByteBuffer values =
                ByteBuffer.allocate(4 * SAMPLES * CHANNELS * SIDE * SIDE).order(ByteOrder.LITTLE_ENDIAN);
        values.asFloatBuffer().put(data(1));
        Files.write(folder.resolve("x.npy"), NpyWriter.npy("<f4", values.array(), SAMPLES, CHANNELS, SIDE, SIDE));
        run(
                0,
                "correct",
                "--float=" + folder.resolve("float.onnx"),
                "--quantized=" + folder.resolve("quantized.onnx"),
                "--samples=" + folder.resolve("x.npy"),
                "--reference=" + reference,
                "--adjust=" + adjust,
                "--holdout=0.2",
                "--verify",
                "--device=cpu",
                "--force",
                "--report=" + folder.resolve(adjust + ".json"),
                "--output=" + folder.resolve(adjust + ".onnx"));
        JsonNode report =
                new ObjectMapper().readTree(folder.resolve(adjust + ".json").toFile());
        assertThat(report.at("/verification/passed").asBoolean()).isTrue();
        return report;
    }

    /**
     * How far a file's outputs are from the float file's on other samples, as ONNX Runtime runs both: the mean square.
     */
    private double error(String file) throws IOException {
        float[] expected = outputs("float.onnx");
        float[] found = outputs(file);
        double sum = 0;
        for (int i = 0; i < found.length; i++) {
            sum += (found[i] - expected[i]) * (found[i] - expected[i]);
        }
        return sum / found.length;
    }

    private float[] outputs(String file) throws IOException {
        try (WholeModel model = WholeModel.asWritten(file, Files.readAllBytes(folder.resolve(file)))) {
            HostTensor y = model.run(Map.of("x", HostTensor.of(data(2), SAMPLES, CHANNELS, SIDE, SIDE)))
                    .values()
                    .iterator()
                    .next();
            float[] out = new float[Math.toIntExact(y.elements())];
            y.floats().get(out);
            return out;
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("forms")
    void weightsKeepToTheirGridAndErrorsFall(String name, WeightForm form) throws IOException {
        write("float.onnx", new Network(form, false).build());
        Network network = new Network(form, true);
        ModelProto quantized = network.build();
        write("quantized.onnx", quantized);
        for (String reference : List.of("layer", "network")) {
            JsonNode biases = corrected("biases", reference);
            JsonNode report = corrected("weights", reference);
            ModelProto written = ModelProto.parseFrom(Files.readAllBytes(folder.resolve("weights.onnx")));
            assertThat(bare(written)).isEqualTo(bare(quantized));
            Map<String, TensorProto> before = tensors(quantized);
            Map<String, TensorProto> after = tensors(written);
            assertThat(after.keySet()).isEqualTo(before.keySet());
            int moved = 0;
            for (Map.Entry<String, TensorProto> tensor : before.entrySet()) {
                TensorProto changed = after.get(tensor.getKey());
                if (network.weights.containsKey(tensor.getKey())) {
                    moved += moved(form, network.weights.get(tensor.getKey()), tensor.getValue(), changed);
                } else if (network.biases.contains(tensor.getKey())) {
                    assertThat(changed.getDataType())
                            .isEqualTo(tensor.getValue().getDataType());
                    assertThat(changed.getDimsList())
                            .isEqualTo(tensor.getValue().getDimsList());
                } else {
                    assertThat(changed).isEqualTo(tensor.getValue());
                }
            }
            assertThat(moved).as("layers whose weights moved").isGreaterThanOrEqualTo(3);
            for (JsonNode layer : report.path("layers")) {
                if (layer.path("weightsKept").isNull()) {
                    assertThat(layer.path("mseAfter").asDouble())
                            .isLessThan(layer.path("mseWithBias").asDouble());
                }
            }
            assertThat(report.path("layers")).hasSameSizeAs(biases.path("layers"));
            assertThat(error("weights.onnx")).as("with %s", reference).isLessThan(error("biases.onnx"));
            run(
                    0,
                    "undo",
                    folder.resolve("weights.onnx").toString(),
                    "--output=" + folder.resolve("undone.onnx"),
                    "--force");
            assertThat(Files.readAllBytes(folder.resolve("undone.onnx")))
                    .isEqualTo(Files.readAllBytes(folder.resolve("quantized.onnx")));
        }
    }

    /** 1 where a layer's weights moved, all of them integers that it used before. */
    private static int moved(WeightForm form, WeightForm.Stored stored, TensorProto before, TensorProto after) {
        assertThat(after.getDataType()).isEqualTo(before.getDataType());
        assertThat(after.getDimsList()).isEqualTo(before.getDimsList());
        assertThat(after.hasRawData()).isEqualTo(before.hasRawData());
        assertThat(form.integers(before, stored)).containsExactly(stored.integers());
        int least = Arrays.stream(stored.integers()).min().orElseThrow();
        int most = Arrays.stream(stored.integers()).max().orElseThrow();
        int[] found = form.integers(after, stored);
        for (int i : found) {
            assertThat(i).isBetween(least, most);
        }
        return Arrays.equals(found, stored.integers()) ? 0 : 1;
    }

    /** A model without what may change. */
    private static ModelProto bare(ModelProto model) {
        ModelProto.Builder out = model.toBuilder().clearMetadataProps();
        out.getGraphBuilder().clearInitializer();
        return out.build();
    }

    private static Map<String, TensorProto> tensors(ModelProto model) {
        Map<String, TensorProto> out = new HashMap<>();
        model.getGraph().getInitializerList().forEach(t -> out.put(t.getName(), t));
        return out;
    }

    /** Where two layers meet. */
    private enum Shared {
        WEIGHTS,
        INTEGERS
    }

    @ParameterizedTest
    @EnumSource(Shared.class)
    void weightsOfSeveralLayersStayAndTheReportSaysSo(Shared shared) throws IOException {
        WeightForm form = form(DataType.INT8, -3, 3, false, Scales.TENSOR, Place.DEQUANTIZED, true);
        float[] values = new float[CHANNELS * CHANNELS];
        Random random = new Random(5);
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (0.4 * random.nextGaussian());
        }
        int[] shape = {CHANNELS, CHANNELS, 1, 1};
        WeightForm.Stored stored = form.stored(values, shape, 0, 1, 1);
        for (boolean quantized : new boolean[] {false, true}) {
            GraphBuilder g = new GraphBuilder(6);
            String first;
            String second;
            if (quantized) {
                g.tensor(form.integers("w", shape, stored.integers()));
                g.tensor(form.floats("ws", new int[0], stored.scales()));
                first = g.node("DequantizeLinear", "wd", List.of("w", "ws"));
                second = shared == Shared.WEIGHTS ? first : g.node("DequantizeLinear", "wd2", List.of("w", "ws"));
            } else {
                first = g.floats("w", shape, values);
                second = first;
            }
            String a = g.node("Conv", "a", List.of(g.input("x", CHANNELS, SIDE, SIDE), first));
            String b = g.node("Conv", "b", List.of(g.node("Relu", "r", List.of(a)), second));
            String own;
            if (quantized) {
                WeightForm.Stored rounded = form.stored(values, shape, 0, 1, 1);
                g.tensor(form.integers("v", shape, rounded.integers()));
                own = g.node("DequantizeLinear", "vd", List.of("v", "ws"));
            } else {
                own = g.floats("v", shape, values);
            }
            write(
                    quantized ? "quantized.onnx" : "float.onnx",
                    g.build(g.node("Conv", "c", List.of(g.node("Relu", "r2", List.of(b)), own))));
        }
        JsonNode report = corrected("weights", "layer");
        JsonNode layers = report.path("layers");
        for (int i = 0; i < 2; i++) {
            assertThat(layers.get(i).path("weightsKept").asText()).contains("shared with other nodes");
        }
        assertThat(layers.get(2).path("weightsMoved").asDouble()).isPositive();
        ModelProto written = ModelProto.parseFrom(Files.readAllBytes(folder.resolve("weights.onnx")));
        assertThat(tensors(written).get("w")).isEqualTo(form.integers("w", shape, stored.integers()));
        assertThat(tensors(written).get("v")).isNotEqualTo(form.integers("v", shape, stored.integers()));
    }
}
