package dev.rebias.device.cuda;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import dev.rebias.device.ClassSums;
import dev.rebias.device.Device;
import dev.rebias.device.ErrorSums;
import dev.rebias.device.ErrorTotals;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerOp;
import dev.rebias.op.LayerOps;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.Op;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Random;

/** Runs each kind of convolution and each kernel on a GPU, and compares what comes out with the CPU device. */
public final class SelfTest {
    private static final double TOLERANCE = 1e-4;

    private final Random random = new Random(1);
    private final List<Outcome> outcomes = new ArrayList<>();
    private final Device gpu;
    private final Device cpu;

    private SelfTest(Device gpu, Device cpu) {
        this.gpu = gpu;
        this.cpu = cpu;
    }

    /**
     * One comparison.
     *
     * @param difference the largest absolute difference
     * @param share that in units of the bound
     */
    public record Outcome(String name, double difference, double share) {
        public boolean passed() {
            return share <= 1;
        }
    }

    /**
     * What came out.
     *
     * @param compilation how many kernels were compiled, and how long that took
     */
    public record Result(List<Outcome> outcomes, String compilation) {
        public Result {
            outcomes = List.copyOf(outcomes);
        }
    }

    /** Runs all of them on GPU {@code ordinal}. */
    public static Result run(int ordinal) {
        try (CudaDevice gpu = CudaDevice.open(ordinal);
                Device cpu = new CpuDevice()) {
            SelfTest test = new SelfTest(gpu, cpu);
            test.layers();
            test.integerLayers();
            test.nodes();
            test.errorSums();
            test.classSums();
            return new Result(test.outcomes, gpu.compilation());
        }
    }

    private void layers() {
        layer("convolution 1x1", node("Conv"), new long[] {2, 24, 13, 17}, new long[] {32, 24, 1, 1});
        layer(
                "convolution 3x3, stride 2",
                node("Conv", ints("strides", 2, 2), ints("pads", 1, 1, 1, 1)),
                new long[] {2, 8, 15, 14},
                new long[] {12, 8, 3, 3});
        layer(
                "convolution 3x3, depthwise",
                node("Conv", integer("group", 24), ints("pads", 1, 1, 1, 1)),
                new long[] {2, 24, 13, 17},
                new long[] {24, 1, 3, 3});
        layer(
                "transposed convolution 2x2, stride 2",
                node("ConvTranspose", ints("strides", 2, 2)),
                new long[] {2, 8, 7, 9},
                new long[] {8, 6, 2, 2});
        layer("matrix product", node("Gemm"), new long[] {37, 65}, new long[] {65, 19});
    }

    /** On tensor cores, and without where a group has few filters. */
    private void integerLayers() {
        for (ElementType type : List.of(ElementType.UINT8, ElementType.INT8)) {
            String of = " of " + type.name().toLowerCase(Locale.ROOT);
            NodeProto conv = node("Conv", ints("pads", 1, 1, 1, 1));
            integers("convolution 3x3" + of, type, conv, new long[] {2, 24, 13, 17}, new long[] {40, 24, 3, 3});
            NodeProto depthwise = node("Conv", integer("group", 24), ints("pads", 1, 1, 1, 1));
            integers("depthwise 3x3" + of, type, depthwise, new long[] {2, 24, 13, 17}, new long[] {24, 1, 3, 3});
        }
    }

    private void integers(String name, ElementType type, NodeProto node, long[] data, long[] weights) {
        HostTensor x = HostTensor.zeros(type, data);
        byte[] bytes = new byte[Math.toIntExact(Shape.elements(data))];
        random.nextBytes(bytes);
        x.bytes().put(0, bytes);
        float[] steps = new float[Math.toIntExact(Shape.elements(weights))];
        for (int i = 0; i < steps.length; i++) {
            steps[i] = random.nextInt(256) - 128;
        }
        float[] scale = new float[Math.toIntExact(weights[0])];
        for (int c = 0; c < scale.length; c++) {
            scale[c] = (1 + random.nextFloat()) / 1000;
        }
        compare(
                name,
                new IntegerLayer(LayerOps.parse(node, weights), type, 7),
                List.of(
                        new Operand.Variable(),
                        new Operand.Constant(HostTensor.of(steps, weights)),
                        new Operand.Constant(HostTensor.of(scale, scale.length))),
                x);
    }

    private void nodes() {
        long[] image = {2, 5, 13, 17};
        one("elementwise: HardSwish", node("HardSwish"), image);
        one("copy: Transpose", node("Transpose", ints("perm", 0, 2, 3, 1)), image);
        one("pool: MaxPool 3x3", node("MaxPool", ints("kernel_shape", 3, 3), ints("strides", 2, 2)), image);
        one("pool: AveragePool 2x2", node("AveragePool", ints("kernel_shape", 2, 2), ints("strides", 2, 2)), image);
        one("reduce: GlobalAveragePool", node("GlobalAveragePool"), image);
        one("reduce: ReduceMean of channels", node("ReduceMean", ints("axes", 1)), image);
        one("softmax of rows", node("Softmax", integer("axis", -1)), image);
        one("softmax of channels", node("Softmax", integer("axis", 1)), image);
        one("softmax: LogSoftmax of channels", node("LogSoftmax", integer("axis", 1)), image);
        one("argmax of rows", node("ArgMax", integer("axis", -1)), image);
        one("argmax of channels", node("ArgMax", integer("axis", 1)), image);
        one("pointwise: Sin", node("Sin"), image);
        compare(
                "gather: GatherElements",
                node("GatherElements", integer("axis", 1)),
                List.of(
                        new Operand.Variable(),
                        new Operand.Constant(HostTensor.of(new long[] {4, 0, -1, 2, 3, -5}, 2, 3, 1, 1))),
                image);
        compare(
                "normalize: InstanceNormalization",
                node("InstanceNormalization"),
                List.of(new Operand.Variable(), new Operand.Constant(random(5)), new Operand.Constant(random(5))),
                image);
        compare(
                "resize: cubic",
                node("Resize", text("mode", "cubic")),
                List.of(
                        new Operand.Variable(),
                        new Operand.Absent(),
                        new Operand.Constant(HostTensor.of(new float[] {1, 1, 2, 1.5f}, 4))),
                image);
        compare(
                "pad: edge",
                node("Pad", text("mode", "edge")),
                List.of(
                        new Operand.Variable(),
                        new Operand.Constant(HostTensor.of(new long[] {0, 0, 1, 2, 0, 0, 3, 4}, 8))),
                image);
        compare(
                "resize: linear",
                node("Resize", text("mode", "linear"), text("coordinate_transformation_mode", "half_pixel")),
                List.of(
                        new Operand.Variable(),
                        new Operand.Absent(),
                        new Operand.Constant(HostTensor.of(new float[] {1, 1, 2, 1.5f}, 4))),
                image);
        compare(
                "elementwise: QuantizeLinear",
                node("QuantizeLinear"),
                List.of(
                        new Operand.Variable(),
                        new Operand.Constant(HostTensor.of(new float[] {0.03f})),
                        new Operand.Constant(HostTensor.ofByte(ElementType.UINT8, 100))),
                image);
    }

    private void errorSums() {
        for (long[] shape : List.of(new long[] {3, 7, 5, 5}, new long[] {2, 3, 70, 90}, new long[] {300, 11})) {
            HostTensor error = random(shape);
            HostTensor output = random(shape);
            ErrorTotals ours = errorTotals(gpu, error, output);
            ErrorTotals theirs = errorTotals(cpu, error, output);
            double worst = 0;
            for (int c = 0; c < shape[1]; c++) {
                for (int s = 0; s < ErrorTotals.SUMS; s++) {
                    worst = Math.max(worst, Math.abs(ours.mean(s, c) - theirs.mean(s, c)));
                }
                worst = Math.max(worst, Math.abs(ours.squaredSampleMeans(c) - theirs.squaredSampleMeans(c)));
            }
            double bound = 1e-6;
            outcomes.add(new Outcome("error sums of " + Shape.text(shape), worst, worst / bound));
        }
    }

    private static ErrorTotals errorTotals(Device device, HostTensor error, HostTensor output) {
        long[] shape = error.shape();
        LayerOp op = LayerOps.parse(node(shape.length == 2 ? "Gemm" : "Conv"), new long[] {shape[1], 1, 1, 1});
        try (ErrorSums sums = device.errorSums(op, (int) shape[1], false, true);
                Tensor e = device.upload(error);
                Tensor y = device.upload(output)) {
            sums.add(List.of(e, y), (int) shape[0]);
            return sums.totals();
        }
    }

    private void classSums() {
        long[] data = {3, 6, 11, 9};
        long[] weights = {6, 1, 3, 3};
        LayerOp op = LayerOps.parse(node("Conv", integer("group", 6), ints("pads", 1, 1, 1, 1)), weights);
        double[] matrix = new double[54];
        Arrays.setAll(matrix, i -> random.nextGaussian());
        HostTensor x = random(data);
        double[] ours = means(gpu, op, weights, x, matrix);
        double[] theirs = means(cpu, op, weights, x, matrix);
        double worst = 0;
        for (int c = 0; c < ours.length; c++) {
            worst = Math.max(worst, Math.abs(ours[c] - theirs[c]));
        }
        double bound = 1e-6;
        outcomes.add(new Outcome("class sums of " + Shape.text(data), worst, worst / bound));
    }

    private static double[] means(Device device, LayerOp op, long[] weights, HostTensor data, double[] matrix) {
        try (ClassSums sums = device.classSums(op, weights, Optional.empty(), 0);
                Tensor x = device.upload(data)) {
            sums.add(List.of(x), (int) data.shape()[0]);
            return sums.totals().means(matrix);
        }
    }

    private void layer(String name, NodeProto node, long[] data, long[] weights) {
        compare(
                name,
                LayerOps.parse(node, weights),
                List.of(new Operand.Variable(), new Operand.Constant(random(weights)), new Operand.Absent()),
                random(data));
    }

    private void one(String name, NodeProto node, long[] data) {
        compare(name, node, List.of(new Operand.Variable()), data);
    }

    private void compare(String name, NodeProto node, List<Operand> operands, long[] shape) {
        NodeProto.Builder complete = node.toBuilder();
        for (int i = 0; i < operands.size(); i++) {
            complete.addInput(operands.get(i) instanceof Operand.Absent ? "" : "x" + i);
        }
        compare(name, new OnnxOp(complete.build(), List.of(), opset()), operands, random(shape));
    }

    private void compare(String name, Op op, List<Operand> operands, HostTensor data) {
        HostTensor ours = run(gpu, op, operands, data);
        HostTensor theirs = run(cpu, op, operands, data);
        if (!Arrays.equals(ours.shape(), theirs.shape()) || ours.type() != theirs.type()) {
            outcomes.add(new Outcome(name + ": " + ours + " instead of " + theirs, Double.NaN, Double.NaN));
            return;
        }
        double worst = 0;
        double largest = 1;
        for (int i = 0; i < ours.elements(); i++) {
            double expected = value(theirs, i);
            worst = Math.max(worst, Math.abs(value(ours, i) - expected));
            largest = Math.max(largest, Math.abs(expected));
        }
        outcomes.add(new Outcome(name, worst, worst / (TOLERANCE * largest)));
    }

    private static double value(HostTensor t, int i) {
        return switch (t.type()) {
            case FLOAT -> t.floats().get(i);
            case INT64 -> t.longs().get(i);
            default -> t.bytes().get(i);
        };
    }

    private static HostTensor run(Device device, Op op, List<Operand> operands, HostTensor data) {
        try (PreparedOp prepared = device.prepare(op, operands);
                Tensor x = device.upload(data);
                Tensor y = prepared.run(List.of(x)).get(0)) {
            return device.download(y);
        }
    }

    private HostTensor random(long... shape) {
        float[] values = new float[Math.toIntExact(Shape.elements(shape))];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return HostTensor.of(values, shape);
    }

    private static NodeProto node(String type, AttributeProto... attributes) {
        return NodeProto.newBuilder()
                .setOpType(type)
                .setName(type)
                .addOutput("y")
                .addAllAttribute(List.of(attributes))
                .build();
    }

    private static List<OperatorSetIdProto> opset() {
        return List.of(OperatorSetIdProto.newBuilder().setVersion(14).build());
    }

    private static AttributeProto integer(String name, long value) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeProto.AttributeType.INT)
                .setI(value)
                .build();
    }

    private static AttributeProto text(String name, String value) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeProto.AttributeType.STRING)
                .setS(com.google.protobuf.ByteString.copyFromUtf8(value))
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
