package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.LayerOp;
import dev.rebias.op.LayerOps;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.LongStream;

/**
 * A layer of random kind and shape.
 *
 * @param weights the shape of its weights
 * @param data the shape of its data: three samples
 */
record RandomLayer(LayerOp op, long[] weights, long[] data) {
    /**
     * Draws one.
     *
     * @param width the most channels of a group
     */
    static RandomLayer next(Random random, int width) {
        while (true) {
            RandomLayer layer = draw(random, width);
            try {
                if (Arrays.stream(layer.op().outputShape(layer.data(), layer.weights()))
                        .allMatch(d -> d > 0)) {
                    return layer;
                }
            } catch (UnsupportedException e) {
                // A kernel larger than the padded data: draw again.
            }
        }
    }

    private static RandomLayer draw(Random random, int width) {
        return switch (random.nextInt(6)) {
            case 0 -> gemm(random);
            case 1 -> {
                long k = 1L + random.nextInt(20);
                yield new RandomLayer(
                        LayerOps.parse(node("MatMul"), new long[] {k, 1}),
                        new long[] {k, 1L + random.nextInt(9)},
                        random.nextBoolean() ? new long[] {3, k} : new long[] {3, 5, k});
            }
            case 2 -> convolution(random, width, true);
            default -> convolution(random, width, false);
        };
    }

    private static RandomLayer gemm(Random random) {
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
        return new RandomLayer(LayerOps.parse(node, weights), weights, a ? new long[] {k, 3} : new long[] {3, k});
    }

    private static RandomLayer convolution(Random random, int width, boolean transposed) {
        int n = 1 + random.nextInt(3);
        long group = 1L + random.nextInt(3);
        long in = group * (1L + random.nextInt(width));
        long out = group * (1L + random.nextInt(width));
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
        return convolution(transposed, group, strides, dilations, pads, weights, data);
    }

    /** A Conv of given shapes. */
    static RandomLayer convolution(
            long group, long[] strides, long[] dilations, long[] pads, long[] weights, long[] data) {
        return convolution(false, group, strides, dilations, pads, weights, data);
    }

    private static RandomLayer convolution(
            boolean transposed,
            long group,
            long[] strides,
            long[] dilations,
            long[] pads,
            long[] weights,
            long[] data) {
        NodeProto node = node(
                transposed ? "ConvTranspose" : "Conv",
                attribute("group", group),
                attribute("strides", strides),
                attribute("dilations", dilations),
                attribute("pads", pads));
        return new RandomLayer(LayerOps.parse(node, weights), weights, data);
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
                ? a.setType(AttributeProto.AttributeType.INT).setI(values[0]).build()
                : a.setType(AttributeProto.AttributeType.INTS)
                        .addAllInts(LongStream.of(values).boxed().toList())
                        .build();
    }
}
