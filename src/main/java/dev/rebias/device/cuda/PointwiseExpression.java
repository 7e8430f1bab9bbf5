package dev.rebias.device.cuda;

import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.op.Attributes;
import dev.rebias.op.OnnxOp;
import dev.rebias.tensor.ElementType;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * What a pointwise node computes, in CUDA C++ with {@code cuda-kernels/pointwise.cuh}: its inputs are x0, x1 .., its
 * attributes c0, c1 ..
 *
 * @param code the expression
 * @param type of what it makes
 * @param constants the values of c0, c1 ..
 * @param axis the axis of the data along which inputs of one dimension, other than the first, lie; without one they
 *     broadcast
 */
record PointwiseExpression(String code, ElementType type, List<Float> constants, OptionalInt axis) {
    /** The types that kernels know, as CUDA C++ has them. A BOOL is a byte of 0 or 1. */
    static final Map<ElementType, String> TYPES = new EnumMap<>(Map.ofEntries(
            Map.entry(ElementType.FLOAT, "float"),
            Map.entry(ElementType.DOUBLE, "double"),
            Map.entry(ElementType.INT8, "signed char"),
            Map.entry(ElementType.UINT8, "unsigned char"),
            Map.entry(ElementType.BOOL, "unsigned char"),
            Map.entry(ElementType.INT16, "short"),
            Map.entry(ElementType.UINT16, "unsigned short"),
            Map.entry(ElementType.INT32, "int"),
            Map.entry(ElementType.UINT32, "unsigned int"),
            Map.entry(ElementType.INT64, "long long"),
            Map.entry(ElementType.UINT64, "unsigned long long")));

    /** Functions of floats. */
    private static final Map<String, String> FUNCTIONS = Map.ofEntries(
            Map.entry("Acos", "acosf(x0)"),
            Map.entry("Acosh", "acoshf(x0)"),
            Map.entry("Asin", "asinf(x0)"),
            Map.entry("Asinh", "asinhf(x0)"),
            Map.entry("Atan", "atanf(x0)"),
            Map.entry("Atanh", "atanhf(x0)"),
            Map.entry("Cos", "cosf(x0)"),
            Map.entry("Cosh", "coshf(x0)"),
            Map.entry("Mish", "x0 * tanhf(softplus(x0))"),
            Map.entry("Sin", "sinf(x0)"),
            Map.entry("Sinh", "sinhf(x0)"),
            Map.entry("Tan", "tanf(x0)"));

    private static final Map<String, String> COMPARISONS = Map.of(
            "Equal", "==",
            "Greater", ">",
            "GreaterOrEqual", ">=",
            "Less", "<",
            "LessOrEqual", "<=");

    private static final Map<String, String> LOGIC = Map.of("And", "&", "Or", "|", "Xor", "^");

    /** Of any number of values of one type, two by two. */
    private static final Map<String, String> FOLDED = Map.of(
            "Add", "%s + %s",
            "Sub", "%s - %s",
            "Mul", "%s * %s",
            "Sum", "%s + %s",
            "Mean", "%s + %s",
            "Max", "larger(%s, %s)",
            "Min", "smaller(%s, %s)");

    private static final Set<String> OTHERS = Set.of(
            "Abs",
            "BatchNormalization",
            "Cast",
            "CastLike",
            "Celu",
            "Clip",
            "DequantizeLinear",
            "Div",
            "Gelu",
            "IsInf",
            "IsNaN",
            "Mod",
            "Neg",
            "Not",
            "Pow",
            "QuantizeLinear",
            "Selu",
            "Shrink",
            "Sign",
            "ThresholdedRelu",
            "Where");

    PointwiseExpression {
        constants = List.copyOf(constants);
    }

    /** The op types that {@link #of} knows in some of their forms. */
    static Set<String> types() {
        Set<String> all = new java.util.HashSet<>(OTHERS);
        for (Map<String, String> some : List.of(FUNCTIONS, COMPARISONS, LOGIC, FOLDED)) {
            all.addAll(some.keySet());
        }
        return all;
    }

    /**
     * The expression of a node.
     *
     * @param types of its inputs; empty where one is left out
     * @return empty if the card has no form for these types or attributes
     */
    static Optional<PointwiseExpression> of(OnnxOp op, List<Optional<ElementType>> types) {
        if (types.isEmpty()
                || types.get(0).isEmpty()
                || !types.stream().flatMap(Optional::stream).allMatch(TYPES::containsKey)) {
            return Optional.empty();
        }
        NodeProto node = op.node();
        ElementType x = types.get(0).get();
        boolean same = types.stream().allMatch(t -> t.filter(x::equals).isPresent());
        boolean number = x != ElementType.BOOL;
        String type = op.type();
        if (FUNCTIONS.containsKey(type)) {
            return floats(x, FUNCTIONS.get(type));
        }
        if (COMPARISONS.containsKey(type)) {
            return when(same, "x0 " + COMPARISONS.get(type) + " x1", ElementType.BOOL);
        }
        if (LOGIC.containsKey(type)) {
            return when(same && !number, "x0 " + LOGIC.get(type) + " x1", ElementType.BOOL);
        }
        if (FOLDED.containsKey(type)) {
            return when(same && number, folded(type, x, types.size()), x);
        }
        return switch (type) {
            case "Abs" -> when(number, "magnitude(x0)", x);
            case "BatchNormalization" -> batchNormalization(node, x, same);
            case "Cast" -> cast(x, (int) Attributes.integer(node, "to", 0));
            case "CastLike" -> types.get(1).flatMap(to -> cast(x, to.onnxCode()));
            case "Celu" -> floats(x, "celu(x0, c0)", Attributes.real(node, "alpha", 1));
            case "Clip" -> clip(op, types, x, number);
            case "DequantizeLinear" -> dequantize(node, types);
            case "Div" -> when(same && number, isReal(x) ? "x0 / x1" : of("quotient", x), x);
            case "Gelu" ->
                floats(x, Attributes.text(node, "approximate", "none").equals("tanh") ? "gelu_tanh(x0)" : "gelu(x0)");
            case "IsInf" ->
                floats(x, "is_infinite(x0, c0, c1)", (float) Attributes.integer(node, "detect_positive", 1), (float)
                                Attributes.integer(node, "detect_negative", 1))
                        .map(e -> e.as(ElementType.BOOL));
            case "IsNaN" -> floats(x, "x0 != x0").map(e -> e.as(ElementType.BOOL));
            case "Mod" -> mod(node, x, same && number);
            case "Neg" -> when(number, "0 - x0", x);
            case "Not" -> when(!number, "x0 == 0", ElementType.BOOL);
            case "Pow" ->
                when(
                        number
                                && types.get(1)
                                        .filter(t -> t != ElementType.BOOL)
                                        .isPresent(),
                        x == ElementType.FLOAT ? "powf(x0, (float)x1)" : "pow((double)x0, (double)x1)",
                        x);
            case "QuantizeLinear" -> quantize(node, types);
            case "Selu" ->
                floats(
                        x,
                        "selu(x0, c0, c1)",
                        Attributes.real(node, "alpha", 1.6732632f),
                        Attributes.real(node, "gamma", 1.050701f));
            case "Shrink" ->
                floats(x, "shrink(x0, c0, c1)", Attributes.real(node, "bias", 0), Attributes.real(node, "lambd", 0.5f));
            case "Sign" -> when(number, "sign(x0)", x);
            case "ThresholdedRelu" -> floats(x, "x0 > c0 ? x0 : 0.0f", Attributes.real(node, "alpha", 1));
            case "Where" ->
                types.get(1)
                        .filter(t -> x == ElementType.BOOL && types.get(2).equals(types.get(1)))
                        .flatMap(t -> when(true, "x0 ? x1 : x2", t));
            default -> Optional.empty();
        };
    }

    private static boolean isReal(ElementType type) {
        return type == ElementType.FLOAT || type == ElementType.DOUBLE;
    }

    private static String of(String function, ElementType type) {
        return function + "<" + TYPES.get(type) + ">(x0, x1)";
    }

    private static Optional<PointwiseExpression> when(boolean known, String code, ElementType type) {
        return known
                ? Optional.of(new PointwiseExpression(code, type, List.of(), OptionalInt.empty()))
                : Optional.empty();
    }

    private static Optional<PointwiseExpression> floats(ElementType x, String code, float... constants) {
        List<Float> all = new ArrayList<>();
        for (float c : constants) {
            all.add(c);
        }
        return x == ElementType.FLOAT
                ? Optional.of(new PointwiseExpression(code, x, all, OptionalInt.empty()))
                : Optional.empty();
    }

    private PointwiseExpression as(ElementType other) {
        return new PointwiseExpression(code, other, constants, axis);
    }

    private static String folded(String type, ElementType x, int inputs) {
        // Sums of small integers are cast back one by one, as ONNX Runtime adds two tensors at a time.
        String form = "(" + TYPES.get(x) + ")(" + FOLDED.get(type) + ")";
        String all = IntStream.range(0, inputs)
                .mapToObj(i -> "x" + i)
                .reduce((a, b) -> String.format(form, a, b))
                .orElseThrow();
        return type.equals("Mean") ? all + " / " + inputs : all;
    }

    private static Optional<PointwiseExpression> cast(ElementType from, int to) {
        Optional<ElementType> type = ElementType.ofOnnxCode(to).filter(TYPES::containsKey);
        return type.flatMap(t -> {
            String code;
            if (t == ElementType.BOOL) {
                code = "x0 != 0";
            } else if (isReal(from) && !isReal(t)) {
                code = "to_integer<" + TYPES.get(t) + ">(x0)";
            } else {
                code = "x0";
            }
            return when(true, code, t);
        });
    }

    private static Optional<PointwiseExpression> clip(
            OnnxOp op, List<Optional<ElementType>> types, ElementType x, boolean number) {
        boolean known = number && op.opset() >= 11 && types.stream().allMatch(t -> t.isEmpty() || t.get() == x);
        String code = "x0";
        if (types.size() > 1 && types.get(1).isPresent()) {
            code = "larger(" + code + ", x1)";
        }
        if (types.size() > 2 && types.get(2).isPresent()) {
            code = "smaller(" + code + ", x2)";
        }
        return when(known, code, x);
    }

    private static Optional<PointwiseExpression> mod(NodeProto node, ElementType x, boolean usable) {
        boolean truncated = Attributes.integer(node, "fmod", 0) != 0;
        if (isReal(x)) {
            return truncated ? floats(x, "remainder_of(x0, x1)") : Optional.empty();
        }
        return when(usable, of(truncated ? "remainder_of" : "modulo", x), x);
    }

    private static Optional<PointwiseExpression> batchNormalization(NodeProto node, ElementType x, boolean same) {
        boolean usable = same
                && x == ElementType.FLOAT
                && Attributes.integer(node, "training_mode", 0) == 0
                && Attributes.integer(node, "spatial", 1) != 0
                && node.getOutputList().stream().filter(o -> !o.isEmpty()).count() == 1;
        return usable
                ? Optional.of(new PointwiseExpression(
                        "(x0 - x3) / sqrtf(x4 + c0) * x1 + x2",
                        x,
                        List.of(Attributes.real(node, "epsilon", 1e-5f)),
                        OptionalInt.of(1)))
                : Optional.empty();
    }

    private static Optional<ElementType> zero(List<Optional<ElementType>> types) {
        return types.size() > 2 ? types.get(2) : Optional.empty();
    }

    private static boolean isPlain(NodeProto node) {
        return Attributes.integer(node, "block_size", 0) == 0 && Attributes.integer(node, "output_dtype", 0) == 0;
    }

    private static Optional<PointwiseExpression> quantize(NodeProto node, List<Optional<ElementType>> types) {
        ElementType to = zero(types).orElse(ElementType.UINT8);
        boolean usable = types.get(0).get() == ElementType.FLOAT
                && types.get(1).filter(t -> t == ElementType.FLOAT).isPresent()
                && Set.of(ElementType.UINT8, ElementType.INT8).contains(to)
                && isPlain(node);
        // A scale that was computed follows from data whose last bit depends on who computes them: the quotient is
        // rounded as a float holds it, as ONNX Runtime does.
        String bounds = to == ElementType.UINT8 ? "0.0f, 255.0f" : "-128.0f, 127.0f";
        String shift = zero(types).isPresent() ? "(float)x2" : "0.0f";
        return usable
                ? Optional.of(new PointwiseExpression(
                        "clip(rintf(x0 / x1) + " + shift + ", " + bounds + ")", to, List.of(), axis(node)))
                : Optional.empty();
    }

    private static Optional<PointwiseExpression> dequantize(NodeProto node, List<Optional<ElementType>> types) {
        ElementType from = types.get(0).get();
        boolean usable =
                Set.of(ElementType.UINT8, ElementType.INT8, ElementType.INT32).contains(from)
                        && types.get(1).filter(t -> t == ElementType.FLOAT).isPresent()
                        && zero(types).map(from::equals).orElse(true)
                        && isPlain(node);
        String difference = zero(types).isPresent() ? "(float)((int)x0 - (int)x2)" : "(float)x0";
        return usable
                ? Optional.of(new PointwiseExpression(difference + " * x1", ElementType.FLOAT, List.of(), axis(node)))
                : Optional.empty();
    }

    private static OptionalInt axis(NodeProto node) {
        return OptionalInt.of(Math.toIntExact(Attributes.integer(node, "axis", 1)));
    }

    @Override
    public String toString() {
        return code + constants.stream().map(String::valueOf).collect(Collectors.joining(" ", " with ", ""));
    }
}
