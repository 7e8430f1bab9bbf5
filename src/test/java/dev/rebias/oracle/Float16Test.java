package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import com.google.protobuf.ByteString;
import dev.rebias.CorrectionResult;
import dev.rebias.device.TestDevices;
import dev.rebias.model.OnnxModel;
import dev.rebias.sweep.Reference;
import dev.rebias.tensor.Float16;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Files in float16 are computed with as floats, corrected as the same file in floats is, and stay float16. */
@Tag("cuda")
final class Float16Test {
    /** The operator set since which layers take BFLOAT16; quantisers take both types since 19. */
    private static final int LAYERS_OF_HALVES = 22;

    /**
     * A bias of halves moves by whole steps of them, which later layers see: by up to half a step, of values below 2
     * here. Where activations have 4 bits, some of these tip over. Measured: 2.4e-4 and 1.8e-3.
     */
    private static final float HALVES_APART = 0x1p-11f;

    private static final float ACTIVATIONS_APART = 2.5e-3f;

    /** Turns everything in floats into 16 bits, in raw_data and int32_data by turns. */
    private static final class Halved {
        private final DataType type;
        private boolean raw;

        Halved(DataType type) {
            this.type = type;
        }

        ModelProto of(ModelProto model) {
            GraphProto.Builder graph = model.getGraph().toBuilder();
            for (int i = 0; i < graph.getInitializerCount(); i++) {
                graph.setInitializer(i, of(graph.getInitializer(i)));
            }
            graph.getInputBuilderList().forEach(this::retype);
            graph.getOutputBuilderList().forEach(this::retype);
            for (NodeProto.Builder node : graph.getNodeBuilderList()) {
                for (AttributeProto.Builder a : node.getAttributeBuilderList()) {
                    if (a.hasT()) {
                        a.setT(of(a.getT()));
                    }
                }
            }
            ModelProto.Builder halved = model.toBuilder().setGraph(graph);
            halved.getOpsetImportBuilder(0).setVersion(LAYERS_OF_HALVES);
            return halved.build();
        }

        private void retype(ValueInfoProto.Builder value) {
            value.getTypeBuilder().getTensorTypeBuilder().setElemType(type.getNumber());
        }

        private TensorProto of(TensorProto t) {
            if (t.getDataType() != DataType.FLOAT.getNumber()) {
                return t;
            }
            raw = !raw;
            TensorProto.Builder out =
                    t.toBuilder().clearFloatData().clearRawData().setDataType(type.getNumber());
            float[] values = floats(t);
            ByteBuffer bytes = ByteBuffer.allocate(2 * values.length).order(ByteOrder.LITTLE_ENDIAN);
            for (float v : values) {
                short bits = type == DataType.FLOAT16 ? Float16.of(v) : (short) (Float.floatToIntBits(v) >> 16);
                bytes.putShort(bits);
                if (!raw) {
                    out.addInt32Data(Short.toUnsignedInt(bits));
                }
            }
            return raw ? out.setRawData(ByteString.copyFrom(bytes.flip())).build() : out.build();
        }
    }

    private static float[] floats(TensorProto t) {
        float[] values = new float[t.hasRawData() ? t.getRawData().size() / 4 : t.getFloatDataCount()];
        for (int i = 0; i < values.length; i++) {
            values[i] = t.hasRawData()
                    ? t.getRawData()
                            .asReadOnlyByteBuffer()
                            .order(ByteOrder.LITTLE_ENDIAN)
                            .getFloat(4 * i)
                    : t.getFloatData(i);
        }
        return values;
    }

    private static float[] halves(TensorProto t) {
        float[] values = new float[t.hasRawData() ? t.getRawData().size() / 2 : t.getInt32DataCount()];
        ByteBuffer raw = t.getRawData().asReadOnlyByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < values.length; i++) {
            short bits = t.hasRawData() ? raw.getShort(2 * i) : (short) t.getInt32Data(i);
            values[i] = t.getDataType() == DataType.FLOAT16.getNumber()
                    ? Float16.toFloat(bits)
                    : Float.intBitsToFloat(bits << 16);
        }
        return values;
    }

    static Stream<Arguments> files() {
        return TestDevices.names().stream().flatMap(device -> Stream.of(
                        Toy.CHAIN,
                        Toy.MATMUL_ADD,
                        Toy.MATMUL_ALONE,
                        Toy.WITHOUT_BIAS,
                        Toy.REUSED_BIAS,
                        Toy.CONSTANT_NODES,
                        Toy.BATCH_NORMALIZATION)
                .flatMap(toy -> Stream.of(DataType.FLOAT16, DataType.BFLOAT16).flatMap(type -> Stream.of(false, true)
                        .map(activations -> Arguments.of(device, toy, type, activations)))));
    }

    @ParameterizedTest
    @MethodSource("files")
    void correctedAsTheSameValuesInFloats(String device, Toy toy, DataType type, boolean activations) {
        ModelProto floating = toy.model();
        Map<String, NaiveTensor> samples = Toy.samples(floating, 9, 5);
        ModelProto wide = QdqWriter.write(floating, new QdqWriter.Scheme(4, false, activations, false, true), samples);
        OnnxModel quantized = OnnxModel.of("halves", new Halved(type).of(wide));
        // The float form, by its own path: halves read by this test.
        OnnxModel plain = OnnxModel.of("floats", widened(quantized.proto()));
        for (Reference reference : Reference.values()) {
            CorrectionResult result = FileForms.correct(
                    OnnxModel.of("float", floating), quantized, FileForms.tensors(samples), reference, 4, device);
            CorrectionResult expected = FileForms.correct(
                    OnnxModel.of("float", floating), plain, FileForms.tensors(samples), reference, 4, device);
            Map<String, float[]> deltas = FileForms.deltas(expected);
            assertThat(deltas).isNotEmpty();
            float apart = type == DataType.BFLOAT16 ? 0 : activations ? ACTIVATIONS_APART : HALVES_APART;
            FileForms.deltas(result).forEach((layer, delta) -> {
                for (int c = 0; c < delta.length; c++) {
                    assertThat(delta[c]).isCloseTo(deltas.get(layer)[c], within(apart));
                }
            });
            requireHalves(result.model().proto(), expected.model().proto(), type, apart);
        }
    }

    private static ModelProto widened(ModelProto model) {
        GraphProto.Builder graph = model.getGraph().toBuilder();
        for (int i = 0; i < graph.getInitializerCount(); i++) {
            graph.setInitializer(i, widened(graph.getInitializer(i)));
        }
        Stream.of(graph.getInputBuilderList(), graph.getOutputBuilderList())
                .flatMap(List::stream)
                .forEach(v -> v.getTypeBuilder().getTensorTypeBuilder().setElemType(1));
        graph.getNodeBuilderList().forEach(n -> n.getAttributeBuilderList().stream()
                .filter(a -> a.hasT())
                .forEach(a -> a.setT(widened(a.getT()))));
        return model.toBuilder().setGraph(graph).build();
    }

    private static TensorProto widened(TensorProto t) {
        if (t.getDataType() != DataType.FLOAT16.getNumber() && t.getDataType() != DataType.BFLOAT16.getNumber()) {
            return t;
        }
        TensorProto.Builder out = t.toBuilder().clearRawData().clearInt32Data().setDataType(1);
        for (float v : halves(t)) {
            out.addFloatData(v);
        }
        return out.build();
    }

    /** The written file holds no floats, and of every constant the nearest value of 16 bits. */
    private static void requireHalves(ModelProto written, ModelProto floats, DataType type, float apart) {
        Map<String, TensorProto> expected = constants(floats);
        constants(written).forEach((name, t) -> {
            assertThat(t.getDataType()).as(name).isNotEqualTo(DataType.FLOAT.getNumber());
            if (t.getDataType() == type.getNumber()) {
                float[] wide = floats(expected.get(name));
                float[] narrow = halves(t);
                assertThat(narrow).as(name).hasSameSizeAs(wide);
                for (int i = 0; i < wide.length; i++) {
                    double step = type == DataType.FLOAT16 ? 0x1p-11 : 0x1p-8;
                    assertThat(Math.abs(narrow[i] - wide[i])).as(name).isLessThanOrEqualTo((float)
                            (step * Math.abs(wide[i]) + 0x1p-24 + apart));
                }
            }
        });
        assertThat(constants(written).values()).anyMatch(t -> t.getDataType() == type.getNumber());
    }

    private static Map<String, TensorProto> constants(ModelProto model) {
        Map<String, TensorProto> all = new HashMap<>();
        model.getGraph().getInitializerList().forEach(t -> all.put(t.getName(), t));
        model.getGraph().getNodeList().stream()
                .filter(n -> n.getOpType().equals("Constant"))
                .forEach(n -> all.put(n.getOutput(0), n.getAttribute(0).getT()));
        return all;
    }
}
