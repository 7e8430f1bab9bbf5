package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.device.CleanEmulator;
import dev.rebias.device.Emulator;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.LayerOps;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What is larger than cuDNN and cuBLAS count goes to them in parts: the same with a bound that is small enough to be
 * met here.
 */
@Tag("cuda")
@Tag("emulator")
@ExtendWith(CleanEmulator.class)
final class LargeTensorsTest {
    private final Emulator emulator = Emulator.require();

    /**
     * A layer.
     *
     * @param largest the elements of the largest tensor that a sample of it has: data, data with their pads, or output
     * @param call what computes it
     */
    private record Case(NodeProto node, long[] data, long[] weights, long largest, String call) {
        @Override
        public String toString() {
            return node.getOpType() + " of " + Shape.text(data) + " by " + Shape.text(weights);
        }
    }

    private static Case layer(
            String type, long[] data, long[] weights, long largest, String call, AttributeProto... attributes) {
        NodeProto node = NodeProto.newBuilder()
                .setOpType(type)
                .addAllAttribute(Arrays.asList(attributes))
                .build();
        return new Case(node, data, weights, largest, call);
    }

    private static AttributeProto integer(String name, long value) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeProto.AttributeType.INT)
                .setI(value)
                .build();
    }

    private static AttributeProto list(String name, long... values) {
        AttributeProto.Builder a = AttributeProto.newBuilder().setName(name).setType(AttributeProto.AttributeType.INTS);
        Arrays.stream(values).forEach(a::addInts);
        return a.build();
    }

    private static long[] shape(long... dims) {
        return dims;
    }

    private static final String FORWARD = "call:cudnnConvolutionForward";
    private static final String BACKWARD = "call:cudnnConvolutionBackwardData";

    static Stream<Case> layers() {
        return Stream.of(
                layer("Conv", shape(7, 6, 5, 4), shape(3, 6, 1, 1), 6 * 5 * 4, FORWARD),
                layer("Conv", shape(5, 2, 5, 4), shape(9, 2, 3, 3), 9 * 5 * 4, FORWARD, list("pads", 1, 1, 1, 1)),
                layer(
                        "Conv",
                        shape(5, 4, 6, 5),
                        shape(4, 1, 3, 2),
                        4 * 9 * 6,
                        FORWARD,
                        list("pads", 1, 0, 2, 1),
                        list("strides", 2, 2),
                        integer("group", 4)),
                layer("Conv", shape(4, 3, 11), shape(5, 3, 4), 5 * 8, FORWARD),
                layer("Conv", shape(3, 2, 4, 5, 3), shape(2, 2, 2, 2, 2), 2 * 4 * 5 * 3, FORWARD),
                layer(
                        "ConvTranspose",
                        shape(5, 3, 4, 5),
                        shape(3, 2, 2, 2),
                        2 * 8 * 10,
                        BACKWARD,
                        list("strides", 2, 2)),
                layer(
                        "ConvTranspose",
                        shape(5, 3, 4, 5),
                        shape(3, 2, 3, 3),
                        2 * 9 * 11,
                        BACKWARD,
                        list("strides", 2, 2),
                        list("pads", 0, 2, 1, 0)));
    }

    private static HostTensor random(long... shape) {
        Random random = new Random(Arrays.hashCode(shape));
        float[] values = new float[Math.toIntExact(Shape.elements(shape))];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return HostTensor.of(values, shape);
    }

    private static float[] run(Case layer, long bound) {
        List<Operand> operands =
                List.of(new Operand.Variable(), new Operand.Constant(random(layer.weights())), new Operand.Absent());
        try (CudaDevice device = CudaDevice.open(0, bound);
                PreparedOp op = device.prepare(LayerOps.parse(layer.node(), layer.weights()), operands);
                Tensor x = device.upload(random(layer.data()));
                Tensor y = op.run(List.of(x)).get(0)) {
            return device.download(y).toFloats();
        }
    }

    @ParameterizedTest
    @MethodSource("layers")
    void convolutionsGoInPartsOfWholeSamples(Case layer) {
        float[] whole = run(layer, Integer.MAX_VALUE);
        long samples = layer.data()[0];
        for (long part : new long[] {1, 2, samples}) {
            long before = emulator.counter(layer.call());
            float[] parts = run(layer, part * layer.largest());
            assertThat(emulator.counter(layer.call()) - before)
                    .as("calls for parts of %d samples", part)
                    .isEqualTo((samples + part - 1) / part);
            assertThat(parts).containsExactly(whole, Offset.offset(1e-5f));
        }
    }

    @ParameterizedTest
    @MethodSource("layers")
    void aSampleThatIsTooLargeIsSaidToBe(Case layer) {
        assertThatThrownBy(() -> run(layer, layer.largest() - 1))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContaining(layer.node().getOpType())
                .hasMessageContaining(layer.largest() + " elements")
                .hasMessageContaining("`device` cpu");
    }

    static Stream<Case> products() {
        return Stream.of(
                layer("MatMul", shape(23, 4), shape(4, 3), 4, ""),
                layer("Gemm", shape(23, 5), shape(7, 5), 7, "", integer("transB", 1)));
    }

    @ParameterizedTest
    @MethodSource("products")
    void productsGoInPartsOfRows(Case layer) {
        float[] whole = run(layer, Integer.MAX_VALUE);
        long before = emulator.counter("call:cublasSgemm_v2");
        assertThat(run(layer, layer.largest())).containsExactly(whole, Offset.offset(1e-5f));
        assertThat(emulator.counter("call:cublasSgemm_v2") - before)
                .isEqualTo((layer.data()[0] + layer.largest() - 1) / layer.largest());
        assertThatThrownBy(() -> run(layer, layer.largest() - 1))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContaining("than cuBLAS takes");
    }
}
