package dev.rebias.device;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerOp;
import dev.rebias.op.LayerOps;
import dev.rebias.op.Op;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

/** The closed form of a layer's mean error is what computing every error gives. */
final class ClosedFormTest {
    private static final int LAYERS = 100;
    /** Of the largest correction. */
    private static final double TOLERANCE = 1e-6;

    private static final int ZERO = 3;

    /** A layer of random kind and shape. */
    private record Case(LayerOp op, long[] weights, long[] data) {
        static Case random(Random random) {
            return switch (random.nextInt(6)) {
                case 0 -> gemm(random);
                case 1 -> {
                    long k = 1L + random.nextInt(20);
                    yield new Case(
                            LayerOps.parse(node("MatMul"), new long[] {k, 1}),
                            new long[] {k, 1L + random.nextInt(9)},
                            random.nextBoolean() ? new long[] {3, k} : new long[] {3, 5, k});
                }
                case 2 -> convolution(random, true);
                default -> convolution(random, false);
            };
        }

        private static Case gemm(Random random) {
            boolean a = random.nextInt(4) == 0;
            boolean b = random.nextBoolean();
            long k = 1L + random.nextInt(20);
            long m = 1L + random.nextInt(9);
            long[] weights = b ? new long[] {m, k} : new long[] {k, m};
            NodeProto node = node(
                    "Gemm",
                    attribute("transA", a ? 1 : 0),
                    attribute("transB", b ? 1 : 0),
                    AttributeProto.newBuilder()
                            .setName("alpha")
                            .setType(AttributeProto.AttributeType.FLOAT)
                            .setF(random.nextBoolean() ? 1 : 0.7f)
                            .build());
            return new Case(LayerOps.parse(node, weights), weights, a ? new long[] {k, 3} : new long[] {3, k});
        }

        private static Case convolution(Random random, boolean transposed) {
            int n = 1 + random.nextInt(3);
            long group = 1L + random.nextInt(3);
            long in = group * (1L + random.nextInt(4));
            long out = group * (1L + random.nextInt(4));
            if (random.nextInt(4) == 0) {
                group = in;
                out = in;
            }
            long[] weights = new long[n + 2];
            weights[0] = transposed ? in : out;
            weights[1] = (transposed ? out : in) / group;
            long[] data = new long[n + 2];
            data[0] = 3;
            data[1] = in;
            long[] strides = new long[n];
            long[] dilations = new long[n];
            long[] pads = new long[2 * n];
            for (int i = 0; i < n; i++) {
                weights[i + 2] = 1L + random.nextInt(4);
                data[i + 2] = 3L + random.nextInt(8);
                strides[i] = 1L + random.nextInt(3);
                dilations[i] = 1L + random.nextInt(2);
                long extent = (weights[i + 2] - 1) * dilations[i] + 1;
                pads[i] = random.nextInt((int) extent);
                pads[n + i] = random.nextInt((int) extent);
            }
            NodeProto node = node(
                    transposed ? "ConvTranspose" : "Conv",
                    attribute("group", group),
                    attribute("strides", strides),
                    attribute("dilations", dilations),
                    attribute("pads", pads));
            return new Case(LayerOps.parse(node, weights), weights, data);
        }

        private static NodeProto node(String type, AttributeProto... attributes) {
            return NodeProto.newBuilder()
                    .setOpType(type)
                    .addAllAttribute(Arrays.asList(attributes))
                    .build();
        }

        private static AttributeProto attribute(String name, long... values) {
            AttributeProto.Builder a = AttributeProto.newBuilder().setName(name);
            return values.length == 1 && (name.startsWith("trans") || name.equals("group"))
                    ? a.setType(AttributeProto.AttributeType.INT)
                            .setI(values[0])
                            .build()
                    : a.setType(AttributeProto.AttributeType.INTS)
                            .addAllInts(LongStream.of(values).boxed().toList())
                            .build();
        }
    }

    @Test
    void itIsWhatComputingEveryErrorGives() {
        Random random = new Random(11);
        double worst = 0;
        int done = 0;
        while (done < LAYERS) {
            Case layer = Case.random(random);
            try {
                layer.op().outputShape(layer.data(), layer.weights());
            } catch (UnsupportedException e) {
                continue; // a kernel larger than the padded data
            }
            if (Arrays.stream(layer.op().outputShape(layer.data(), layer.weights()))
                    .anyMatch(d -> d < 1)) {
                continue;
            }
            boolean integers = random.nextBoolean();
            double difference = difference(layer, integers, random);
            assertThat(difference)
                    .as(
                            "%s, %s on %s, integers %s",
                            layer.op(), Arrays.toString(layer.weights()), Arrays.toString(layer.data()), integers)
                    .isLessThan(TOLERANCE);
            worst = Math.max(worst, difference);
            done++;
        }
        System.out.printf("%d layers, the worst at %.1f %% of the bound%n", done, 100 * worst / TOLERANCE);
    }

    private static double difference(Case layer, boolean integers, Random random) {
        int channels = layer.op().channels(layer.weights());
        double[] bias = random.doubles(channels).toArray();
        double[] reference = random.doubles(channels).toArray();
        double[] weights = random.doubles(Shape.elements(layer.weights()), 0.1, 1)
                .map(v -> (float) v)
                .toArray();
        Optional<ElementType> type = integers ? Optional.of(ElementType.UINT8) : Optional.empty();
        WeightError error = new WeightError(layer.op(), layer.weights(), weights, type, integers ? ZERO : 0);
        Op computing = integers ? new IntegerLayer(layer.op(), ElementType.UINT8, ZERO) : layer.op();
        try (CpuDevice device = new CpuDevice(1);
                InputMoments closed = device.inputMoments(bias, reference, new float[0], error);
                InputMoments computed = new InputMomentsByErrors(
                        device.prepare(computing, InputMomentsByErrors.operands(error)),
                        device.errorMoments(bias, reference, new float[0]),
                        error)) {
            for (int batch = 0; batch < 2; batch++) {
                try (Tensor data = device.upload(data(layer.data(), integers, random))) {
                    closed.addInput(data, batch, 3);
                    computed.addInput(data, batch, 3);
                }
            }
            closed.solve();
            computed.solve();
            assertThat(closed.read(false).samples()).isEqualTo(6);
            List<float[]> deltas =
                    List.of(closed.read(false).delta(), computed.read(false).delta());
            double largest = 0;
            double apart = 0;
            for (int c = 0; c < channels; c++) {
                largest = Math.max(largest, Math.abs(deltas.get(1)[c]));
                apart = Math.max(apart, Math.abs(deltas.get(0)[c] - deltas.get(1)[c]));
            }
            return apart / largest;
        }
    }

    private static HostTensor data(long[] shape, boolean integers, Random random) {
        HostTensor x = HostTensor.zeros(integers ? ElementType.UINT8 : ElementType.FLOAT, shape);
        for (int i = 0; i < x.elements(); i++) {
            if (integers) {
                x.bytes().put(i, (byte) random.nextInt(256));
            } else {
                x.floats().put(i, random.nextFloat() + 0.1f);
            }
        }
        return x;
    }
}
