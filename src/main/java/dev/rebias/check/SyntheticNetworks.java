package dev.rebias.check;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorShapeProto;
import ai.onnx.proto.OnnxMl.TypeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import com.google.protobuf.ByteString;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Random;

/**
 * MobileNetV1 and ResNet-50 with random weights, as a float model and as one with weights of 4 bits per output channel
 * and unsigned activations of 8 bits per tensor: the shapes and the arithmetic of real networks, with no file to bring
 * along.
 *
 * <p>Weights have the variance 2 / fan-in, which keeps activations behind ReLU at about the power of the input (He et
 * al., arXiv 1502.01852), so one range serves all quantisers.
 */
final class SyntheticNetworks {
    private static final int[][] MOBILE_NET = {
        {64, 1}, {128, 2}, {128, 1}, {256, 2}, {256, 1}, {512, 2}, {512, 1}, {512, 1}, {512, 1}, {512, 1}, {512, 1},
        {1024, 2}, {1024, 1}
    };
    /** Width, blocks and first stride of each stage. */
    private static final int[][] RES_NET = {{64, 3, 1}, {128, 4, 2}, {256, 6, 2}, {512, 3, 2}};

    private static final float RANGE = 6;
    private static final int TOP = 7;

    private final GraphProto.Builder graph = GraphProto.newBuilder().setName("synthetic");
    private final Random random = new Random(11);
    private final boolean quantized;

    private SyntheticNetworks(boolean quantized, int side) {
        this.quantized = quantized;
        graph.addInput(value("x", 0, 3, side, side));
        if (quantized) {
            floats("step", new float[] {RANGE / 255}, List.of());
            bytes("zero", TensorProto.DataType.UINT8, new byte[] {0}, List.of());
            floats("input_step", new float[] {2 * RANGE / 255}, List.of());
            bytes("input_zero", TensorProto.DataType.UINT8, new byte[] {(byte) 128}, List.of());
        }
    }

    /** MobileNetV1 (Howard et al., arXiv 1704.04861, table 1) for images of that side. */
    static ModelProto mobileNet(boolean quantized, int side) {
        SyntheticNetworks g = new SyntheticNetworks(quantized, side);
        String x = g.relu(g.convolution("first", g.input(), 3, 32, 3, 2, 1));
        int channels = 32;
        for (int i = 0; i < MOBILE_NET.length; i++) {
            x = g.relu(g.convolution("depthwise" + i, x, channels, channels, 3, MOBILE_NET[i][1], channels));
            x = g.relu(g.convolution("pointwise" + i, x, channels, MOBILE_NET[i][0], 1, 1, 1));
            channels = MOBILE_NET[i][0];
        }
        return g.classified(x, channels);
    }

    /** ResNet-50 (He et al., arXiv 1512.03385, table 1), BatchNormalization folded, for images of that side. */
    static ModelProto resNet50(boolean quantized, int side) {
        SyntheticNetworks g = new SyntheticNetworks(quantized, side);
        String x = g.relu(g.convolution("first", g.input(), 3, 64, 7, 2, 1));
        x = g.node(
                "MaxPool",
                "pool",
                List.of(x),
                ints("kernel_shape", 3, 3),
                ints("strides", 2, 2),
                ints("pads", 1, 1, 1, 1));
        int channels = 64;
        for (int[] stage : RES_NET) {
            int width = stage[0];
            for (int b = 0; b < stage[1]; b++) {
                int stride = b == 0 ? stage[2] : 1;
                String name = "stage" + width + "_" + b;
                String y = g.relu(g.convolution(name + "_a", x, channels, width, 1, 1, 1));
                y = g.relu(g.convolution(name + "_b", y, width, width, 3, stride, 1));
                y = g.convolution(name + "_c", y, width, 4 * width, 1, 1, 1);
                String side2 = b == 0 ? g.convolution(name + "_side", x, channels, 4 * width, 1, stride, 1) : x;
                x = g.relu(g.node("Add", name + "_sum", List.of(y, side2)));
                channels = 4 * width;
            }
        }
        return g.classified(x, channels);
    }

    private ModelProto classified(String x, int channels) {
        String pooled = node("GlobalAveragePool", "pooled", List.of(x));
        String flat = quantize("flat_q", node("Flatten", "flat", List.of(pooled)), "step", "zero");
        String w = weights("classes_w", channels, 1000, channels);
        biases("classes_b", 1000);
        node("Gemm", "y", List.of(flat, w, "classes_b"), integer("transB", 1));
        graph.addOutput(value("y", 0, 1000));
        return ModelProto.newBuilder()
                .setIrVersion(8)
                .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(13))
                .setGraph(graph)
                .build();
    }

    private String input() {
        return quantize("x_q", "x", "input_step", "input_zero");
    }

    private String convolution(String name, String x, int in, int out, int kernel, int stride, int group) {
        int taps = in / group * kernel * kernel;
        String w = weights(name + "_w", taps, out, in / group, kernel, kernel);
        biases(name + "_b", out);
        return node(
                "Conv",
                name,
                List.of(x, w, name + "_b"),
                integer("group", group),
                ints("kernel_shape", kernel, kernel),
                ints("strides", stride, stride),
                ints("pads", kernel / 2, kernel / 2, kernel / 2, kernel / 2));
    }

    private String relu(String x) {
        return quantize(x + "_q", node("Relu", x + "_relu", List.of(x)), "step", "zero");
    }

    /** x through a quantiser and back, in the quantised model. */
    private String quantize(String name, String x, String step, String zero) {
        if (!quantized) {
            return x;
        }
        node("QuantizeLinear", name, List.of(x, step, zero));
        return node("DequantizeLinear", name + "_d", List.of(name, step, zero));
    }

    /** Weights [shape..], the same in both models but for rounding. */
    private String weights(String name, int fanIn, int... shape) {
        int n = 1;
        for (int s : shape) {
            n *= s;
        }
        float[] values = new float[n];
        double deviation = Math.sqrt(2.0 / fanIn);
        for (int i = 0; i < n; i++) {
            values[i] = (float) (deviation * random.nextGaussian());
        }
        List<Integer> dims = java.util.Arrays.stream(shape).boxed().toList();
        if (!quantized) {
            floats(name, values, dims);
            return name;
        }
        int perChannel = n / shape[0];
        byte[] rounded = new byte[n];
        float[] steps = new float[shape[0]];
        for (int c = 0; c < shape[0]; c++) {
            float largest = 0;
            for (int i = c * perChannel; i < (c + 1) * perChannel; i++) {
                largest = Math.max(largest, Math.abs(values[i]));
            }
            steps[c] = largest / TOP;
            for (int i = c * perChannel; i < (c + 1) * perChannel; i++) {
                rounded[i] = (byte) Math.rint(values[i] / steps[c]);
            }
        }
        bytes(name + "_i", TensorProto.DataType.INT8, rounded, dims);
        floats(name + "_s", steps, List.of(shape[0]));
        bytes(name + "_z", TensorProto.DataType.INT8, new byte[shape[0]], List.of(shape[0]));
        return node("DequantizeLinear", name, List.of(name + "_i", name + "_s", name + "_z"), integer("axis", 0));
    }

    private void biases(String name, int n) {
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            values[i] = (float) (0.1 * random.nextGaussian());
        }
        floats(name, values, List.of(n));
    }

    private String node(String type, String output, List<String> inputs, AttributeProto... attributes) {
        graph.addNode(NodeProto.newBuilder()
                .setOpType(type)
                .setName(output)
                .addAllInput(inputs)
                .addOutput(output)
                .addAllAttribute(List.of(attributes)));
        return output;
    }

    private void floats(String name, float[] values, List<Integer> dims) {
        ByteBuffer raw = ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        raw.asFloatBuffer().put(values);
        bytes(name, TensorProto.DataType.FLOAT, raw.array(), dims);
    }

    private void bytes(String name, TensorProto.DataType type, byte[] values, List<Integer> dims) {
        TensorProto.Builder t = TensorProto.newBuilder()
                .setName(name)
                .setDataType(type.getNumber())
                .setRawData(ByteString.copyFrom(values));
        dims.forEach(d -> t.addDims(d));
        graph.addInitializer(t);
    }

    private static ValueInfoProto value(String name, int... shape) {
        TensorShapeProto.Builder dims = TensorShapeProto.newBuilder();
        for (int s : shape) {
            dims.addDim(
                    s == 0
                            ? TensorShapeProto.Dimension.newBuilder().setDimParam("N")
                            : TensorShapeProto.Dimension.newBuilder().setDimValue(s));
        }
        return ValueInfoProto.newBuilder()
                .setName(name)
                .setType(TypeProto.newBuilder()
                        .setTensorType(TypeProto.Tensor.newBuilder()
                                .setElemType(TensorProto.DataType.FLOAT.getNumber())
                                .setShape(dims)))
                .build();
    }

    private static AttributeProto integer(String name, long value) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeProto.AttributeType.INT)
                .setI(value)
                .build();
    }

    private static AttributeProto ints(String name, long... values) {
        AttributeProto.Builder a = AttributeProto.newBuilder().setName(name).setType(AttributeProto.AttributeType.INTS);
        for (long v : values) {
            a.addInts(v);
        }
        return a.build();
    }
}
