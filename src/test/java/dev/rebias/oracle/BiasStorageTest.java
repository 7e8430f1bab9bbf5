package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import com.google.protobuf.ByteString;
import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.device.TestDevices;
import dev.rebias.measure.Moments;
import dev.rebias.model.OnnxModel;
import dev.rebias.samples.Samples;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A bias stored in few bits stays so, takes the correction in its own steps, and a channel that has no room for it
 * keeps what it has.
 */
@Tag("cuda")
final class BiasStorageTest {
    private static final int IN = 5;
    private static final int OUT = 4;
    private static final int SAMPLES = 6;
    private static final int POSITIONS = 9;

    /**
     * How a bias is stored.
     *
     * @param perChannel whether each channel has a scale of its own
     * @param raw whether the values lie in raw_data; else in int32_data
     * @param quantizer whether stored floats go through a QuantizeLinear
     * @param constantNode whether a Constant node stores them; else an initializer
     * @param shared whether another layer uses the same bias
     */
    private record Storage(
            ElementType type,
            boolean perChannel,
            boolean raw,
            boolean quantizer,
            boolean constantNode,
            boolean shared) {}

    private static Stream<Arguments> storages() {
        List<Storage> all = new ArrayList<>();
        for (ElementType type : List.of(
                ElementType.INT8, ElementType.UINT8, ElementType.INT16, ElementType.UINT16, ElementType.INT32)) {
            all.add(new Storage(type, false, true, false, false, false));
            all.add(new Storage(type, true, false, false, true, false));
            all.add(new Storage(type, true, true, false, false, true));
        }
        for (ElementType type : List.of(ElementType.INT8, ElementType.UINT8)) {
            all.add(new Storage(type, false, true, true, false, false));
            all.add(new Storage(type, true, true, true, true, false));
            all.add(new Storage(type, false, true, true, false, true));
        }
        return TestDevices.names().stream().flatMap(d -> all.stream().map(s -> Arguments.of(d, s)));
    }

    private final Random random = new Random(5);
    private final float[] floatWeights = new float[OUT * IN];
    private final float[] weights = new float[OUT * IN];
    private final float[] floatBias = new float[OUT];
    private final long[] stored = new long[OUT];
    private final float[] scales = new float[OUT];
    private final float[] samples = new float[SAMPLES * IN * POSITIONS];

    private void draw(Storage storage) {
        for (int i = 0; i < weights.length; i++) {
            floatWeights[i] = (float) random.nextGaussian();
            weights[i] = Math.round(floatWeights[i] * 4) / 4f;
        }
        for (int i = 0; i < samples.length; i++) {
            samples[i] = random.nextFloat();
        }
        Arrays.fill(scales, 1 / 32f);
        for (int c = 0; c < OUT; c++) {
            if (storage.perChannel()) {
                scales[c] = 1 / 64f * (c + 1);
            }
            stored[c] = zero(storage) + random.nextInt(21) - 10;
            floatBias[c] = (float) ((stored[c] - zero(storage)) * scales[c] + random.nextGaussian() / 4);
        }
    }

    private static long zero(Storage storage) {
        return switch (storage.type()) {
            case UINT8 -> 128;
            case UINT16 -> 32768;
            default -> 0;
        };
    }

    @ParameterizedTest
    @MethodSource("storages")
    void takesItsCorrectionInItsOwnSteps(String device, Storage storage) {
        draw(storage);
        ModelProto before = quantized(storage);
        CorrectionResult result = correct(device, before);
        ModelProto after = result.model().proto();
        Moments moments = result.layers().get(0).moments().orElseThrow();
        assertThat(moments.kept()).isEmpty();
        double[] means = meanErrors();
        double[] old = dequantized(storage, before, "conv");
        double[] now = dequantized(storage, after, "conv");
        for (int c = 0; c < OUT; c++) {
            assertThat(now[c] - old[c]).isCloseTo(means[c], within(0.5 * scales[c] + 1e-6));
            assertThat(now[c] - old[c]).isCloseTo(moments.delta()[c], within(1e-7));
        }
        assertThat(forms(after)).containsAll(forms(before));
        if (storage.shared()) {
            assertThat(dequantized(storage, after, "other")).containsExactly(dequantized(storage, before, "other"));
        } else {
            assertThat(forms(after)).containsExactlyElementsOf(forms(before));
            assertThat(after.getGraph().getNodeCount())
                    .isEqualTo(before.getGraph().getNodeCount());
        }
    }

    private static Stream<String> devices() {
        return TestDevices.names().stream();
    }

    /**
     * In channel 1 the correction leaves the type's range, in channel 2 there are no steps: both keep their bias, and
     * are named.
     */
    @ParameterizedTest
    @MethodSource("devices")
    void leavesAChannelAloneThatHasNoRoom(String device) {
        for (ElementType type : List.of(ElementType.INT8, ElementType.INT16, ElementType.INT32)) {
            Storage storage = new Storage(type, true, true, false, false, false);
            draw(storage);
            stored[1] = type.highest();
            scales[1] = 1e-6f;
            floatBias[1] = (float) (stored[1] * (double) scales[1] + 1);
            scales[2] = 0;
            ModelProto before = quantized(storage);
            CorrectionResult result = correct(device, before);
            Moments moments = result.layers().get(0).moments().orElseThrow();
            assertThat(moments.kept()).containsExactly(1, 2);
            double[] old = dequantized(storage, before, "conv");
            double[] now = dequantized(storage, result.model().proto(), "conv");
            double[] means = meanErrors();
            for (int c = 0; c < OUT; c++) {
                boolean kept = c == 1 || c == 2;
                assertThat(now[c] - old[c]).isCloseTo(kept ? 0 : means[c], within(kept ? 0 : 0.5 * scales[c] + 1e-6));
            }
            assertThat(moments.measured().mseAfter())
                    .isLessThan(moments.measured().mseBefore());
            assertThat(result.warnings())
                    .anyMatch(w -> w.startsWith("layer 'conv_node': channels 1, 2 keep their biases")
                            && w.contains("fit " + type.name().toLowerCase(Locale.ROOT)));
        }
    }

    private CorrectionResult correct(String device, ModelProto quantized) {
        GraphBuilder f = new GraphBuilder(1);
        String x = f.input("x", IN, 3, 3);
        String w = f.floats("w", new int[] {OUT, IN, 1, 1}, floatWeights);
        String b = f.floats("b", new int[] {OUT}, floatBias);
        f.node("Conv", "conv", List.of(x, w, b));
        f.node("Conv", "other", List.of(x, f.floats("w2", new int[] {OUT, IN, 1, 1}, floatWeights), b));
        f.node("Add", "y", List.of("conv", "other"));
        BiasCorrection correction =
                BiasCorrection.of(OnnxModel.of("float", f.build("y")), OnnxModel.of("quantized", quantized));
        Samples all = Samples.of(Map.of("x", HostTensor.of(samples, new long[] {SAMPLES, IN, 3, 3})));
        return correction.correct(
                all,
                CorrectionOptions.builder()
                        .device(device)
                        .layers(name -> name.equals("conv_node"))
                        .build());
    }

    /** E[W_f x] - E[W_q x] + b_f - b_q per channel, in double precision. */
    private double[] meanErrors() {
        double[] mean = new double[IN];
        for (int i = 0; i < samples.length; i++) {
            mean[i / POSITIONS % IN] += (double) samples[i] / (SAMPLES * POSITIONS);
        }
        double[] errors = new double[OUT];
        for (int c = 0; c < OUT; c++) {
            for (int i = 0; i < IN; i++) {
                errors[c] += ((double) floatWeights[c * IN + i] - weights[c * IN + i]) * mean[i];
            }
            errors[c] += floatBias[c] - storedBias[c];
        }
        return errors;
    }

    /** b_q as the file holds it. */
    private final double[] storedBias = new double[OUT];

    private ModelProto quantized(Storage storage) {
        GraphBuilder q = new GraphBuilder(1);
        String x = q.input("x", IN, 3, 3);
        String w = q.floats("w", new int[] {OUT, IN, 1, 1}, weights);
        String bias = bias(q, storage);
        q.node("Conv", "conv", List.of(x, w, bias));
        String second = q.floats("w2", new int[] {OUT, IN, 1, 1}, weights);
        String own = storage.shared() ? bias : q.floats("b2", new int[] {OUT}, floatBias);
        q.node("Conv", "other", List.of(x, second, own));
        q.node("Add", "y", List.of("conv", "other"));
        return q.opset(21).build("y");
    }

    private String bias(GraphBuilder q, Storage storage) {
        for (int c = 0; c < OUT; c++) {
            storedBias[c] = (stored[c] - zero(storage)) * (double) scales[c];
        }
        String scale = storage.perChannel()
                ? q.floats("b_scale", new int[] {OUT}, scales)
                : q.floats("b_scale", new int[0], scales[0]);
        long[] zeros = new long[storage.perChannel() ? OUT : 1];
        Arrays.fill(zeros, zero(storage));
        int[] scaleDims = storage.perChannel() ? new int[] {OUT} : new int[0];
        String zero = q.tensor(tensor("b_zero", storage.type(), true, zeros, scaleDims));
        String data;
        if (storage.quantizer()) {
            float[] floats = new float[OUT];
            for (int c = 0; c < OUT; c++) {
                // Not on the grid, but near enough to its value.
                floats[c] = (float) (storedBias[c] + 0.3 * scales[c]);
            }
            String source = q.floats("b_float", new int[] {OUT}, floats);
            data = q.node(
                    "QuantizeLinear", "b_quantized", List.of(source, scale, zero), GraphBuilder.integer("axis", 0));
        } else {
            TensorProto values = tensor("b_stored", storage.type(), storage.raw(), stored, OUT);
            data = storage.constantNode() ? q.constant("b_stored", values) : q.tensor(values);
        }
        return q.node("DequantizeLinear", "b", List.of(data, scale, zero), GraphBuilder.integer("axis", 0));
    }

    private static TensorProto tensor(String name, ElementType type, boolean raw, long[] values, int... dims) {
        TensorProto.Builder t = TensorProto.newBuilder().setName(name).setDataType(type.onnxCode());
        for (int d : dims) {
            t.addDims(d);
        }
        if (!raw) {
            for (long v : values) {
                t.addInt32Data((int) v);
            }
            return t.build();
        }
        ByteBuffer bytes = ByteBuffer.allocate(values.length * type.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        for (long v : values) {
            for (int i = 0; i < type.bytes(); i++) {
                bytes.put((byte) (v >> (8 * i)));
            }
        }
        return t.setRawData(ByteString.copyFrom(bytes.flip())).build();
    }

    /** The bias of the Conv that makes a tensor, as the graph computes it from what is stored. */
    private double[] dequantized(Storage storage, ModelProto model, String output) {
        Map<String, NodeProto> makers =
                model.getGraph().getNodeList().stream().collect(Collectors.toMap(n -> n.getOutput(0), n -> n));
        NodeProto dequantize = makers.get(makers.get(output).getInput(2));
        if (dequantize == null) {
            return new double[OUT];
        }
        NodeProto source = makers.get(dequantize.getInput(0));
        double[] values = new double[OUT];
        for (int c = 0; c < OUT; c++) {
            if (source != null && source.getOpType().equals("QuantizeLinear")) {
                TensorProto floats = constant(model, source.getInput(0));
                float value = floats.hasRawData()
                        ? floats.getRawData()
                                .asReadOnlyByteBuffer()
                                .order(ByteOrder.LITTLE_ENDIAN)
                                .getFloat(4 * c)
                        : floats.getFloatData(c);
                values[c] = Math.rint(value / scales[c]) * scales[c];
            } else {
                long integer = integer(constant(model, dequantize.getInput(0)), storage.type(), c);
                values[c] = (integer - zero(storage)) * (double) scales[c];
            }
        }
        return values;
    }

    private static TensorProto constant(ModelProto model, String name) {
        GraphProto graph = model.getGraph();
        return Stream.concat(
                        graph.getInitializerList().stream()
                                .filter(i -> i.getName().equals(name)),
                        graph.getNodeList().stream()
                                .filter(n -> n.getOpType().equals("Constant")
                                        && n.getOutput(0).equals(name))
                                .map(n -> n.getAttribute(0).getT()))
                .findFirst()
                .orElseThrow();
    }

    private static long integer(TensorProto tensor, ElementType type, int i) {
        assertThat(tensor.getDataType()).isEqualTo(type.onnxCode());
        if (!tensor.hasRawData()) {
            return tensor.getInt32Data(i);
        }
        long value = 0;
        for (int k = type.bytes() - 1; k >= 0; k--) {
            value = (value << 8) | (tensor.getRawData().byteAt(i * type.bytes() + k) & 0xff);
        }
        int unused = 64 - 8 * type.bytes();
        return type.lowest() < 0 ? (value << unused) >> unused : value;
    }

    /** Every constant's name, type and shape. */
    private static List<String> forms(ModelProto model) {
        GraphProto graph = model.getGraph();
        return Stream.concat(
                        graph.getInitializerList().stream(),
                        graph.getNodeList().stream()
                                .filter(n -> n.getOpType().equals("Constant"))
                                .map(n -> n.getAttribute(0).getT().toBuilder()
                                        .setName(n.getOutput(0))
                                        .build()))
                .map(t -> t.getName() + " " + t.getDataType() + " " + t.getDimsList())
                .toList();
    }
}
