package dev.rebias.oracle;

import static dev.rebias.oracle.GraphBuilder.integer;
import static dev.rebias.oracle.GraphBuilder.list;

import ai.onnx.proto.OnnxMl.ModelProto;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** Networks with random weights, and quantised forms of any network, for benchmarks. */
public final class SyntheticModels {
    private static final int[][] MOBILE_NET_V1 = {
        {64, 1}, {128, 2}, {128, 1}, {256, 2}, {256, 1}, {512, 2}, {512, 1}, {512, 1}, {512, 1}, {512, 1}, {512, 1},
        {1024, 2}, {1024, 1}
    };

    private static final int[] RES_NET_50 = {3, 4, 6, 3};

    private SyntheticModels() {}

    /** MobileNetV1 for images of 224x224 (Howard et al., arXiv 1704.04861, table 1), BatchNormalization folded. */
    public static ModelProto mobileNetV1() {
        GraphBuilder g = new GraphBuilder(1).opset(13);
        String x = convolution(g, "first", g.input("x", 3, 224, 224), 3, 32, 3, 2, 1);
        int channels = 32;
        for (int i = 0; i < MOBILE_NET_V1.length; i++) {
            int out = MOBILE_NET_V1[i][0];
            x = convolution(g, "depthwise" + i, x, channels, channels, 3, MOBILE_NET_V1[i][1], channels);
            x = convolution(g, "pointwise" + i, x, channels, out, 1, 1, 1);
            channels = out;
        }
        return classifier(g, x, channels);
    }

    private static ModelProto classifier(GraphBuilder g, String x, int channels) {
        String pooled = g.node("GlobalAveragePool", "pooled", List.of(x));
        String flat = g.node("Flatten", "flat", List.of(pooled));
        g.node(
                "Gemm",
                "y",
                List.of(flat, g.weights("fc_w", 0.05, 1000, channels), g.weights("fc_b", 0.1, 1000)),
                integer("transB", 1));
        return g.build("y");
    }

    /**
     * ResNet-50 for images of 224x224 (He et al., arXiv 1512.03385, table 1; the stride in the 3x3 layer),
     * BatchNormalization folded.
     */
    public static ModelProto resNet50() {
        GraphBuilder g = new GraphBuilder(5).opset(13);
        String x = convolution(g, "first", g.input("x", 3, 224, 224), 3, 64, 7, 2, 1);
        x = g.node(
                "MaxPool",
                "pool",
                List.of(x),
                list("kernel_shape", 3, 3),
                list("strides", 2, 2),
                list("pads", 1, 1, 1, 1));
        int channels = 64;
        for (int stage = 0; stage < RES_NET_50.length; stage++) {
            int width = 64 << stage;
            for (int i = 0; i < RES_NET_50[stage]; i++) {
                String name = "stage" + stage + "_" + i;
                int stride = stage > 0 && i == 0 ? 2 : 1;
                String y = convolution(g, name + "_a", x, channels, width, 1, 1, 1);
                y = convolution(g, name + "_b", y, width, width, 3, stride, 1);
                y = plainConvolution(g, name + "_c", y, width, 4 * width, 1, 1, 1);
                String shortcut = i == 0 ? plainConvolution(g, name + "_d", x, channels, 4 * width, 1, stride, 1) : x;
                x = g.node("Relu", name + "_relu", List.of(g.node("Add", name + "_sum", List.of(y, shortcut))));
                channels = 4 * width;
            }
        }
        return classifier(g, x, channels);
    }

    /** That many equal layers, 3x3 on 32 channels of 56x56. */
    public static ModelProto chain(int layers) {
        GraphBuilder g = new GraphBuilder(2).opset(13);
        String x = g.input("x", 32, 56, 56);
        for (int i = 0; i < layers; i++) {
            x = convolution(g, "layer" + i, x, 32, 32, 3, 1, 1);
        }
        return g.build(x);
    }

    /** One product with a square matrix. */
    public static ModelProto product(int side) {
        GraphBuilder g = new GraphBuilder(4).opset(13);
        return g.build(g.node("MatMul", "y", List.of(g.input("x", side), g.weights("w", 0.01, side, side))));
    }

    private static String convolution(
            GraphBuilder g, String name, String x, int in, int out, int kernel, int stride, int group) {
        String y = plainConvolution(g, name, x, in, out, kernel, stride, group);
        return g.node("Relu", name + "_relu", List.of(y));
    }

    private static String plainConvolution(
            GraphBuilder g, String name, String x, int in, int out, int kernel, int stride, int group) {
        int taps = in / group * kernel * kernel;
        return g.node(
                "Conv",
                name,
                List.of(
                        x,
                        g.weights(name + "_w", Math.sqrt(2.0 / taps), out, in / group, kernel, kernel),
                        g.weights(name + "_b", 0.1, out)),
                integer("group", group),
                list("strides", stride, stride),
                list("pads", kernel / 2, kernel / 2, kernel / 2, kernel / 2));
    }

    /**
     * A model as QDQ: weights of that many bits, with a scale for each output channel where its opset has that, the
     * data of every layer uint8 with the ranges that one sample of noise shows.
     *
     * @param shape of the noise, without its batch
     */
    public static ModelProto quantized(ModelProto model, int bits, int... shape) {
        int[] batch = new int[shape.length + 1];
        batch[0] = 1;
        System.arraycopy(shape, 0, batch, 1, shape.length);
        Random random = new Random(3);
        NaiveTensor x = NaiveOps.map(NaiveTensor.zeros(batch), v -> (float) random.nextGaussian());
        String input = model.getGraph().getInput(0).getName();
        boolean perChannel =
                model.getOpsetImportList().stream().anyMatch(o -> o.getDomain().isEmpty() && o.getVersion() >= 13);
        return QdqWriter.write(model, new QdqWriter.Scheme(bits, perChannel, true, false, false), Map.of(input, x));
    }
}
