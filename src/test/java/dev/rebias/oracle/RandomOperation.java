package dev.rebias.oracle;

import static dev.rebias.oracle.GraphBuilder.integer;
import static dev.rebias.oracle.GraphBuilder.list;
import static dev.rebias.oracle.GraphBuilder.real;
import static dev.rebias.oracle.GraphBuilder.text;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Function;

/**
 * A legal node with random attributes, shapes and values.
 *
 * @param given the values of the model's inputs
 */
record RandomOperation(ModelProto model, Map<String, HostTensor> given) {
    private static final List<Function<Random, RandomOperation>> KINDS = List.of(
            RandomOperation::unary,
            RandomOperation::unary,
            RandomOperation::binary,
            RandomOperation::binary,
            RandomOperation::comparison,
            RandomOperation::folded,
            RandomOperation::where,
            RandomOperation::clip,
            RandomOperation::cast,
            RandomOperation::pow,
            RandomOperation::softmax,
            RandomOperation::reduce,
            RandomOperation::reduce,
            RandomOperation::argument,
            RandomWindows::convolution,
            RandomWindows::convolution,
            RandomWindows::transposed,
            RandomWindows::transposed,
            RandomWindows::pool,
            RandomWindows::pool,
            RandomOperation::gemm,
            RandomOperation::matmul,
            RandomOperation::normalization,
            RandomOperation::quantizer,
            RandomMoves::slice,
            RandomMoves::slice,
            RandomMoves::split,
            RandomMoves::concat,
            RandomMoves::transpose,
            RandomMoves::view,
            RandomMoves::expand,
            RandomMoves::gather,
            RandomMoves::gatherElements,
            RandomMoves::pad,
            RandomMoves::resize,
            RandomMoves::resize,
            RandomMoves::blocks);

    /** The operation of a seed. */
    static RandomOperation of(long seed) {
        Random random = new Random(seed * 0x9E3779B97F4A7C15L);
        return KINDS.get((int) Math.floorMod(seed, (long) KINDS.size())).apply(random);
    }

    /** Operations on which a device once differed from ONNX Runtime, by what they are. */
    static Map<String, RandomOperation> found() {
        Map<String, RandomOperation> all = new LinkedHashMap<>();
        NodeBuilder b = fixed("MaxPool", 12);
        all.put(
                "pooling, SAME, dilated",
                b.variable(b.floats(2, 3, 4))
                        .attribute(list("kernel_shape", 2))
                        .attribute(list("strides", 3))
                        .attribute(list("dilations", 2))
                        .attribute(text("auto_pad", "SAME_LOWER"))
                        .build(1));
        b = fixed("AveragePool", 19);
        all.put(
                "average pooling, SAME, dilated, counting the padding",
                b.variable(b.floats(2, 3, 6))
                        .attribute(list("kernel_shape", 2))
                        .attribute(list("dilations", 2))
                        .attribute(text("auto_pad", "SAME_LOWER"))
                        .attribute(integer("count_include_pad", 1))
                        .build(1));
        b = fixed("MaxPool", 12);
        all.put(
                "pooling, SAME, that passes data over",
                b.variable(b.floats(2, 3, 4, 7, 9))
                        .attribute(list("kernel_shape", 1, 2, 1))
                        .attribute(list("strides", 2, 3, 3))
                        .attribute(text("auto_pad", "SAME_UPPER"))
                        .build(1));
        b = fixed("ConvTranspose", 13);
        all.put(
                "ConvTranspose, SAME, a kernel shorter than its stride",
                b.variable(b.floats(1, 2, 5))
                        .constant(b.floats(2, 2, 1))
                        .attribute(list("strides", 2))
                        .attribute(text("auto_pad", "SAME_UPPER"))
                        .build(1));
        for (boolean constant : new boolean[] {true, false}) {
            b = fixed("ConvTranspose", 13);
            b.variable(b.floats(1, 2, 3));
            HostTensor weights = b.floats(2, 1, 2);
            all.put(
                    "ConvTranspose, an output larger than its products, " + (constant ? "constant" : "computed")
                            + " weights",
                    (constant ? b.constant(weights) : b.variable(weights))
                            .attribute(list("strides", 2))
                            .attribute(list("output_shape", 7))
                            .build(1));
        }
        for (long end : new long[] {Integer.MAX_VALUE, Long.MAX_VALUE, Integer.MIN_VALUE, Long.MIN_VALUE}) {
            for (long step : new long[] {-1, -2, Integer.MAX_VALUE, Long.MIN_VALUE + 1}) {
                b = fixed("Slice", 13);
                b.variable(b.floats(5, 3));
                all.put("Slice to " + end + " by " + step, sliced(b, 3, end, 0, step));
            }
        }
        for (String mode : List.of("nearest", "linear", "cubic")) {
            for (String coordinates : List.of("half_pixel", "align_corners", "tf_crop_and_resize")) {
                b = fixed("Resize", 13);
                b.variable(b.floats(1, 2, 3, 3))
                        .constant(HostTensor.of(new float[] {0, 0, 0.1f, 0, 1, 1, 0.8f, 1}, 8))
                        .constant(HostTensor.of(new float[] {1, 1, 1.3f, 1.2f}, 4));
                all.put(
                        "Resize to the same size by a factor, " + mode + ", " + coordinates,
                        b.attribute(text("mode", mode))
                                .attribute(text("coordinate_transformation_mode", coordinates))
                                .build(1));
            }
        }
        b = fixed("Resize", 10);
        b.variable(b.floats(1, 2, 3, 3)).constant(HostTensor.of(new float[] {1, 1, 1.3f, 1}, 4));
        all.put(
                "Resize to the same size by a factor, operator set 10",
                b.attribute(text("mode", "linear")).build(1));
        b = fixed("Cast", 13);
        all.put(
                "unsigned integers of 16 bits",
                b.variable(b.numbers(ElementType.UINT16, 0, 65535, 3, 4))
                        .attribute(integer("to", ElementType.FLOAT.onnxCode()))
                        .build(1));
        return all;
    }

    static RandomOperation sliceOfNothingBackwards() {
        NodeBuilder b = fixed("Slice", 13);
        return sliced(b.variable(b.floats(0, 3)), -1, Long.MIN_VALUE, 0, -1);
    }

    private static NodeBuilder fixed(String type, int opset) {
        return new NodeBuilder(new Random(1), type, opset);
    }

    private static RandomOperation sliced(NodeBuilder b, long start, long end, long axis, long step) {
        for (long value : new long[] {start, end, axis, step}) {
            b.constant(HostTensor.of(new long[] {value}, 1));
        }
        return b.build(1);
    }

    RandomOperation {
        given = new LinkedHashMap<>(given);
    }

    private static final String[] UNARY = {
        "Abs",
        "Acos",
        "Acosh",
        "Asin",
        "Asinh",
        "Atan",
        "Atanh",
        "Ceil",
        "Celu",
        "Cos",
        "Cosh",
        "Elu",
        "Erf",
        "Exp",
        "Floor",
        "HardSigmoid",
        "HardSwish",
        "IsInf",
        "IsNaN",
        "LeakyRelu",
        "Log",
        "Mish",
        "Neg",
        "Not",
        "Reciprocal",
        "Relu",
        "Round",
        "Selu",
        "Shrink",
        "Sigmoid",
        "Sign",
        "Sin",
        "Sinh",
        "Softplus",
        "Softsign",
        "Sqrt",
        "Tan",
        "Tanh",
        "ThresholdedRelu"
    };

    private static RandomOperation unary(Random random) {
        String type = UNARY[random.nextInt(UNARY.length)];
        NodeBuilder b = new NodeBuilder(random, type, type.equals("Mish") ? 18 : 16);
        double low = type.equals("Acosh")
                ? 1.1
                : Arrays.asList("Log", "Sqrt", "Reciprocal").contains(type) ? 0.1 : -3;
        double high = Arrays.asList("Acos", "Asin", "Atanh").contains(type) ? 0.9 : 3;
        ElementType element = type.equals("Not") ? ElementType.BOOL : ElementType.FLOAT;
        if (Arrays.asList("Abs", "Neg", "Sign").contains(type) && b.chance(0.3)) {
            element = b.one(ElementType.INT8, ElementType.INT32, ElementType.INT64);
        }
        if (Arrays.asList("Celu", "Elu", "HardSigmoid", "LeakyRelu", "Selu", "ThresholdedRelu")
                        .contains(type)
                && b.chance(0.5)) {
            b.attribute(real("alpha", 0.1f + random.nextFloat()));
        }
        if (type.equals("Shrink") && b.chance(0.7)) {
            b.attribute(real("bias", random.nextFloat())).attribute(real("lambd", random.nextFloat()));
        }
        if (type.equals("IsInf") && b.chance(0.5)) {
            b.attribute(integer("detect_negative", random.nextInt(2)));
        }
        HostTensor x = b.numbers(element, high < 1 ? -0.9 : low, high, b.shape(b.between(0, 6)));
        if (type.startsWith("Is") && x.elements() > 1) {
            x.floats().put(0, Float.NEGATIVE_INFINITY).put(1, Float.NaN);
        }
        return b.variable(x).build(1);
    }

    private static RandomOperation binary(Random random) {
        NodeBuilder b = new NodeBuilder(random, pick(random, "Add", "Sub", "Mul", "Div", "PRelu", "Mod"), 16);
        String type = b.type();
        boolean mod = type.equals("Mod");
        ElementType element = type.equals("PRelu")
                ? ElementType.FLOAT
                : b.one(ElementType.FLOAT, ElementType.FLOAT, ElementType.INT32, ElementType.INT64);
        if (mod && (element == ElementType.FLOAT || b.chance(0.5))) {
            b.attribute(integer("fmod", 1));
        }
        long[] shape = b.shape(b.between(0, 5));
        long[] other = b.broadcastable(shape);
        HostTensor x = b.numbers(element, -9, 9, shape);
        HostTensor y = b.numbers(element, 1, 9, other);
        boolean swapped = !type.equals("PRelu") && !mod && !type.equals("Div") && b.chance(0.5);
        return (swapped ? b.input(y).variable(x) : b.variable(x).input(y)).build(1);
    }

    private static String pick(Random random, String... of) {
        return of[random.nextInt(of.length)];
    }

    private static RandomOperation comparison(Random random) {
        boolean logic = random.nextInt(4) == 0;
        NodeBuilder b = new NodeBuilder(
                random,
                logic
                        ? pick(random, "And", "Or", "Xor")
                        : pick(random, "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"),
                16);
        ElementType element = logic ? ElementType.BOOL : b.one(ElementType.FLOAT, ElementType.INT32, ElementType.INT64);
        long[] shape = b.shape(b.between(0, 5));
        return b.variable(b.numbers(element, -2, 2, shape))
                .input(b.numbers(element, -2, 2, b.broadcastable(shape)))
                .build(1);
    }

    private static RandomOperation folded(Random random) {
        NodeBuilder b = new NodeBuilder(random, pick(random, "Sum", "Mean", "Max", "Min"), 13);
        boolean extremes = b.type().equals("Max") || b.type().equals("Min");
        ElementType element = extremes
                ? b.one(ElementType.FLOAT, ElementType.INT32, ElementType.INT64, ElementType.INT8, ElementType.UINT8)
                : ElementType.FLOAT;
        long[] shape = b.shape(b.between(0, 4));
        b.variable(b.numbers(element, 0, 9, shape));
        for (int i = b.between(0, 3); i > 0; i--) {
            b.input(b.numbers(element, 0, 9, b.broadcastable(shape)));
        }
        return b.build(1);
    }

    private static RandomOperation where(Random random) {
        NodeBuilder b = new NodeBuilder(random, "Where", 16);
        ElementType element = b.one(ElementType.FLOAT, ElementType.FLOAT, ElementType.INT64, ElementType.UINT8);
        long[] shape = b.shape(b.between(0, 5));
        return b.input(b.numbers(ElementType.BOOL, 0, 1, b.broadcastable(shape)))
                .variable(b.numbers(element, 0, 9, shape))
                .input(b.numbers(element, 0, 9, b.broadcastable(shape)))
                .build(1);
    }

    private static RandomOperation clip(Random random) {
        NodeBuilder b = new NodeBuilder(random, "Clip", random.nextBoolean() ? 10 : 13);
        ElementType element =
                b.opset() < 11 ? ElementType.FLOAT : b.one(ElementType.FLOAT, ElementType.INT8, ElementType.INT64);
        b.variable(b.numbers(element, -5, 5, b.shape(b.between(0, 5))));
        if (b.opset() < 11) {
            b.attribute(real("min", -2 + random.nextFloat()));
            return (b.chance(0.5) ? b.attribute(real("max", random.nextFloat())) : b).build(1);
        }
        if (b.chance(0.3)) {
            b.absent();
        } else {
            b.input(b.numbers(element, -4, -1));
        }
        return (b.chance(0.7) ? b.input(b.numbers(element, 0, 4)) : b).build(1);
    }

    private static RandomOperation cast(Random random) {
        NodeBuilder b = new NodeBuilder(random, "Cast", 13);
        ElementType[] types = {
            ElementType.FLOAT,
            ElementType.UINT8,
            ElementType.INT8,
            ElementType.INT32,
            ElementType.INT64,
            ElementType.BOOL,
            ElementType.DOUBLE
        };
        ElementType from = b.chance(0.5) ? ElementType.FLOAT : b.one(types);
        return b.variable(b.numbers(from, 0, 100, b.shape(b.between(0, 5))))
                .attribute(integer("to", b.one(types).onnxCode()))
                .build(1);
    }

    private static RandomOperation pow(Random random) {
        NodeBuilder b = new NodeBuilder(random, "Pow", 15);
        ElementType base = b.one(ElementType.FLOAT, ElementType.FLOAT, ElementType.INT32, ElementType.INT64);
        ElementType exponent = b.one(ElementType.FLOAT, ElementType.INT32, ElementType.INT64);
        long[] shape = b.shape(b.between(0, 4));
        return b.variable(b.numbers(base, 1, 5, shape))
                .input(b.numbers(exponent, 0, 4, b.broadcastable(shape)))
                .build(1);
    }

    private static RandomOperation softmax(Random random) {
        NodeBuilder b = new NodeBuilder(
                random, pick(random, "Softmax", "LogSoftmax", "Hardmax"), random.nextBoolean() ? 11 : 13);
        long[] shape = b.shape(b.between(1, 5));
        b.variable(b.floats(shape));
        return (b.chance(0.7) ? b.attribute(integer("axis", b.axis(shape.length))) : b).build(1);
    }

    private static RandomOperation reduce(Random random) {
        String type = pick(random, "Mean", "Sum", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp");
        NodeBuilder b = new NodeBuilder(random, "Reduce" + type, random.nextBoolean() ? 11 : 18);
        long[] shape = b.shape(b.between(1, 5));
        Arrays.setAll(shape, i -> Math.max(1, shape[i]));
        b.variable(b.numbers(ElementType.FLOAT, type.equals("LogSum") ? 0.1 : -2, 2, shape));
        if (b.chance(0.8)) {
            long[] axes = Arrays.copyOf(b.order(shape.length), b.between(1, shape.length));
            Arrays.setAll(axes, i -> b.chance(0.3) ? axes[i] - shape.length : axes[i]);
            b.integers("axes", 18, axes);
        }
        return (b.chance(0.7) ? b.attribute(integer("keepdims", random.nextInt(2))) : b).build(1);
    }

    private static RandomOperation argument(Random random) {
        NodeBuilder b = new NodeBuilder(random, pick(random, "ArgMax", "ArgMin"), 13);
        long[] shape = b.shape(b.between(1, 5));
        Arrays.setAll(shape, i -> Math.max(1, shape[i]));
        HostTensor x = b.floats(shape);
        for (int i = 0; i < x.elements() && b.chance(0.9); i++) {
            // Some that are alike.
            x.floats().put(i, Math.round(x.floats().get(i)));
        }
        b.variable(x).attribute(integer("axis", b.axis(shape.length)));
        return b.attribute(integer("keepdims", random.nextInt(2)))
                .attribute(integer("select_last_index", random.nextInt(2)))
                .build(1);
    }

    private static RandomOperation gemm(Random random) {
        NodeBuilder b = new NodeBuilder(random, "Gemm", 13);
        long n = b.between(1, 7);
        long k = b.between(1, 9);
        long m = b.between(1, 8);
        boolean transA = b.chance(0.5);
        boolean transB = b.chance(0.5);
        b.variable(transA ? b.floats(k, n) : b.floats(n, k)).input(transB ? b.floats(m, k) : b.floats(k, m));
        if (b.chance(0.8)) {
            b.input(b.floats(b.broadcastable(new long[] {n, m})));
        }
        return b.attribute(integer("transA", transA ? 1 : 0))
                .attribute(integer("transB", transB ? 1 : 0))
                .attribute(real("alpha", b.one(1f, 0.3f)))
                .attribute(real("beta", b.one(1f, 0f, -0.7f)))
                .build(1);
    }

    private static RandomOperation matmul(Random random) {
        NodeBuilder b = new NodeBuilder(random, "MatMul", 13);
        long[] stack = b.shape(b.between(0, 3));
        Arrays.setAll(stack, i -> Math.max(1, stack[i]));
        long k = b.between(1, 8);
        long[] left = b.chance(0.1) ? new long[] {k} : joined(b.broadcastable(stack), b.between(1, 6), k);
        long[] right = b.chance(0.1) ? new long[] {k} : joined(b.broadcastable(stack), k, b.between(1, 6));
        return b.variable(b.floats(left)).input(b.floats(right)).build(1);
    }

    private static long[] joined(long[] stack, long rows, long columns) {
        long[] out = Arrays.copyOf(stack, stack.length + 2);
        out[stack.length] = rows;
        out[stack.length + 1] = columns;
        return out;
    }

    private static RandomOperation normalization(Random random) {
        String type = pick(random, "BatchNormalization", "LayerNormalization", "InstanceNormalization", "LRN");
        NodeBuilder b = new NodeBuilder(random, type, 17);
        long[] shape = b.shape(type.equals("LRN") ? 4 : b.between(3, 5));
        Arrays.setAll(shape, i -> Math.max(1, shape[i]));
        b.variable(b.floats(shape));
        long c = shape[1];
        switch (type) {
            case "BatchNormalization" ->
                b.input(b.floats(c))
                        .input(b.floats(c))
                        .input(b.floats(c))
                        .input(b.numbers(ElementType.FLOAT, 0.1, 2, c));
            case "LayerNormalization" -> {
                int axis = b.between(1, shape.length - 1);
                long[] normal = Arrays.copyOfRange(shape, axis, shape.length);
                b.input(b.floats(normal)).attribute(integer("axis", b.chance(0.5) ? axis : axis - shape.length));
                if (b.chance(0.7)) {
                    b.input(b.floats(normal));
                }
            }
            case "InstanceNormalization" -> b.input(b.floats(c)).input(b.floats(c));
            default -> b.attribute(integer("size", 1 + 2 * random.nextInt(2)));
        }
        return b.build(1);
    }

    private static RandomOperation quantizer(Random random) {
        boolean quantize = random.nextBoolean();
        NodeBuilder b = new NodeBuilder(random, quantize ? "QuantizeLinear" : "DequantizeLinear", 13);
        long[] shape = b.shape(b.between(1, 4));
        Arrays.setAll(shape, i -> Math.max(1, shape[i]));
        int axis = b.axis(shape.length);
        ElementType type = b.one(ElementType.UINT8, ElementType.INT8);
        b.variable(quantize ? b.floats(shape) : b.numbers(type, 0, 120, shape));
        long[] parameters = b.chance(0.5) ? new long[0] : new long[] {shape[axis < 0 ? axis + shape.length : axis]};
        HostTensor scale = b.numbers(ElementType.FLOAT, 0.01, 0.1, parameters);
        HostTensor zero = b.numbers(type, 0, 100, parameters);
        if (b.chance(0.7)) {
            b.constant(scale).constant(zero);
        } else {
            b.input(scale).input(zero);
        }
        return b.attribute(integer("axis", axis)).build(1);
    }

    /** What is run, for messages. */
    @Override
    public String toString() {
        NodeProto node = model.getGraph().getNode(0);
        StringBuilder text = new StringBuilder(node.getOpType());
        text.append('-').append(model.getOpsetImport(0).getVersion()).append('(');
        for (String input : node.getInputList()) {
            text.append(input.isEmpty() ? "none" : described(input)).append(' ');
        }
        text.append(')');
        node.getAttributeList().forEach(a -> text.append(' ')
                .append(a.getName())
                .append('=')
                .append(
                        switch (a.getType()) {
                            case INT -> String.valueOf(a.getI());
                            case FLOAT -> String.valueOf(a.getF());
                            case STRING -> a.getS().toStringUtf8();
                            default -> a.getIntsList().toString();
                        }));
        return text.toString();
    }

    private String described(String input) {
        if (given.containsKey(input)) {
            return shown(given.get(input), "");
        }
        HostTensor constant = model.getGraph().getInitializerList().stream()
                .filter(t -> t.getName().equals(input))
                .map(TestTensors::of)
                .findFirst()
                .orElseThrow();
        return shown(constant, "constant ");
    }

    private static String shown(HostTensor t, String prefix) {
        String values = t.elements() <= 8 && t.rank() <= 1 ? Arrays.toString(TestTensors.doubles(t)) : "";
        return prefix + t.type() + Shape.text(t.shape()) + values;
    }
}
