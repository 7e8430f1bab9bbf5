package dev.rebias.op;

import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.IntStream;

/**
 * The shape rules of ONNX's operations: for each op type whether operands of such shapes fit it, and what shapes its
 * outputs then have. Operations that are not here check their inputs themselves wherever they run.
 */
final class NodeRules {
    /** The shapes of the outputs; or none, where they are not known. */
    @FunctionalInterface
    interface Rule extends Function<NodeOperands, List<long[]>> {}

    private static final List<long[]> UNKNOWN = List.of();

    private static final Set<String> VECTORS_PER_CHANNEL = Set.of("BatchNormalization", "InstanceNormalization");

    private static final Map<String, Rule> RULES = new HashMap<>();

    static {
        Views.TYPES.forEach(t -> RULES.put(t, NodeRules::view));
        for (String type : List.of(
                "ReduceL1",
                "ReduceL2",
                "ReduceLogSum",
                "ReduceLogSumExp",
                "ReduceMax",
                "ReduceMean",
                "ReduceMin",
                "ReduceProd",
                "ReduceSum",
                "ReduceSumSquare")) {
            RULES.put(type, NodeRules::reduce);
        }
        List.of("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool").forEach(t -> RULES.put(t, NodeRules::pooledAll));
        List.of("AveragePool", "MaxPool")
                .forEach(t -> RULES.put(t, o -> List.of(Pooling.of(o.op()).outputShape(o.shape(0)))));
        List.of("Softmax", "LogSoftmax", "Hardmax").forEach(t -> RULES.put(t, NodeRules::softmax));
        List.of("ArgMax", "ArgMin").forEach(t -> RULES.put(t, NodeRules::argument));
        List.of("Resize", "Upsample").forEach(t -> RULES.put(t, NodeRules::resize));
        VECTORS_PER_CHANNEL.forEach(t -> RULES.put(t, NodeRules::perChannel));
        List.of("QuantizeLinear", "DequantizeLinear").forEach(t -> RULES.put(t, NodeRules::quantize));
        List.of("DepthToSpace", "SpaceToDepth").forEach(t -> RULES.put(t, NodeRules::blocks));
        RULES.put("Clip", NodeRules::clip);
        RULES.put("PRelu", NodeRules::slope);
        RULES.put("Concat", NodeRules::concat);
        RULES.put("Conv", NodeRules::convolution);
        RULES.put("ConvTranspose", NodeRules::convolution);
        RULES.put("Gemm", NodeRules::gemm);
        RULES.put("MatMul", NodeRules::product);
        RULES.put("Transpose", NodeRules::transpose);
        RULES.put("Slice", NodeRules::slice);
        RULES.put("Expand", NodeRules::expand);
        RULES.put("Tile", NodeRules::tile);
        RULES.put("Pad", NodeRules::pad);
        RULES.put("Gather", NodeRules::gather);
        RULES.put("GatherElements", NodeRules::gatherElements);
        RULES.put("Split", NodeRules::split);
        RULES.put("Where", o -> List.of(broadcast(o)));
        RULES.put("LayerNormalization", NodeRules::layerNormalization);
        RULES.put("ConstantOfShape", NodeRules::constantOfShape);
        RULES.put("Cast", o -> List.of(o.shape(0)));
        RULES.put("Range", NodeRules::range);
    }

    private NodeRules() {}

    static List<long[]> outputs(NodeOperands operands) {
        OnnxOp op = operands.op();
        if (!op.standard()) {
            return UNKNOWN;
        }
        Rule rule = RULES.get(op.type());
        if (rule != null) {
            return rule.apply(operands);
        }
        return ElementwiseGroup.TYPES.contains(op.type()) ? List.of(broadcast(operands)) : UNKNOWN;
    }

    private static long[] broadcast(NodeOperands o) {
        long[] shape = {};
        for (Optional<OperandSpec> operand : o.all()) {
            if (operand.isPresent()) {
                o.require(broadcasts(shape, operand.get().shape()), "do not broadcast");
                shape = Shape.broadcast(shape, operand.get().shape());
            }
        }
        return shape;
    }

    private static boolean broadcasts(long[] a, long[] b) {
        boolean fits = true;
        for (int i = 1; i <= Math.min(a.length, b.length); i++) {
            long x = a[a.length - i];
            long y = b[b.length - i];
            fits &= x == y || x == 1 || y == 1;
        }
        return fits;
    }

    private static List<long[]> view(NodeOperands o) {
        boolean dropout = o.op().type().equals("Dropout");
        return List.of(Views.shape(o.op(), o.shape(0), dropout ? Optional.empty() : o.integers(1)));
    }

    private static List<long[]> reduce(NodeOperands o) {
        Axes.distinct(o.integers(1, "axes").orElse(new long[0]), o.rank(0));
        return UNKNOWN;
    }

    private static List<long[]> pooledAll(NodeOperands o) {
        long[] out = o.shape(0).clone();
        o.require(
                out.length >= 3 && Shape.elements(out, 1, out.length) > 0,
                "needs data of rank 3 or more, of at least one element");
        Arrays.fill(out, 2, out.length, 1);
        return List.of(out);
    }

    private static List<long[]> softmax(NodeOperands o) {
        boolean flattened = o.op().opset() < 13;
        long axis = Attributes.integer(o.node(), "axis", flattened ? 1 : -1);
        if (!flattened || axis != o.rank(0)) {
            Axes.of(axis, o.shape(0));
        }
        return List.of(o.shape(0));
    }

    private static List<long[]> argument(NodeOperands o) {
        int axis = o.axis(0);
        o.require(o.shape(0)[axis] > 0, "has nothing to choose from");
        return UNKNOWN;
    }

    private static List<long[]> resize(NodeOperands o) {
        boolean old = o.op().type().equals("Upsample") || o.op().opset() < 11;
        long[] data = o.shape(0);
        Optional<OperandSpec> byScales =
                Optional.of(old ? 1 : 2).filter(o::given).map(o::get).filter(s -> s.elements() > 0);
        Optional<float[]> scales = byScales.isPresent()
                ? Optional.of(byScales.get().floats().orElseThrow(() -> o.wrong("needs scales of FLOAT")))
                : Attributes.reals(o.node(), "scales");
        Optional<long[]> sizes = old ? Optional.empty() : o.integers(3).filter(s -> s.length > 0);
        o.require(scales.isPresent() != sizes.isPresent(), "needs either scales or sizes");
        if (Attributes.text(o.node(), "coordinate_transformation_mode", "").equals("tf_crop_and_resize")) {
            int axes = Attributes.integers(o.node(), "axes").map(List::size).orElse(data.length);
            o.require(o.given(1) && o.get(1).elements() == 2L * axes, "needs a region of two values per axis");
        }
        Optional<List<Long>> axes = Attributes.integers(o.node(), "axes");
        if (axes.isPresent()) {
            int[] named =
                    Axes.distinct(axes.get().stream().mapToLong(Long::longValue).toArray(), data.length);
            long[] part = Arrays.stream(named).mapToLong(a -> data[a]).toArray();
            Resizing.require(part, scales, sizes);
            return UNKNOWN;
        }
        Resizing.require(data, scales, sizes);
        long[] out = data.clone();
        for (int i = 0; i < out.length; i++) {
            out[i] = sizes.isPresent() ? sizes.get()[i] : (long) Math.floor(data[i] * (double) scales.get()[i]);
        }
        return List.of(out);
    }

    private static List<long[]> perChannel(NodeOperands o) {
        o.require(o.rank(0) >= 2, "needs data of rank 2 or more");
        for (int i = 1; i < o.all().size(); i++) {
            o.require(
                    Arrays.equals(o.shape(i), new long[] {o.shape(0)[1]}),
                    "does not have one value of each parameter per channel");
        }
        return List.of(o.shape(0));
    }

    private static List<long[]> quantize(NodeOperands o) {
        long[] data = o.shape(0);
        OperandSpec scale = o.get(1);
        if (Attributes.integer(o.node(), "block_size", 0) == 0) {
            boolean single = scale.elements() == 1 && scale.shape().length <= 1;
            if (!single) {
                o.require(
                        scale.shape().length == 1 && scale.elements() == data[o.axis(1)],
                        "does not have one scale, or one per entry of its axis");
            }
            o.require(
                    !o.given(2) || o.get(2).elements() == scale.elements(),
                    "has zero points that do not go with its scales");
        }
        return List.of(data);
    }

    private static List<long[]> blocks(NodeOperands o) {
        long block = Attributes.integer(o.node(), "blocksize", 1);
        long[] data = o.shape(0);
        boolean fits = data.length == 4
                && block >= 1
                && (o.op().type().equals("DepthToSpace")
                        ? data[1] % Math.multiplyExact(block, block) == 0
                        : data[2] % block == 0 && data[3] % block == 0);
        o.require(fits, "does not divide into blocks of " + block);
        return UNKNOWN;
    }

    private static List<long[]> clip(NodeOperands o) {
        for (int i = 1; i < 3; i++) {
            o.require(!o.given(i) || o.get(i).elements() == 1, "needs a single value for each bound");
        }
        return List.of(o.shape(0));
    }

    private static List<long[]> slope(NodeOperands o) {
        o.require(Arrays.equals(broadcast(o), o.shape(0)), "has slopes that do not broadcast to the data");
        return List.of(o.shape(0));
    }

    private static List<long[]> concat(NodeOperands o) {
        long[] out = o.shape(0).clone();
        int axis = o.axis(1);
        for (int i = 1; i < o.all().size(); i++) {
            long[] part = o.shape(i);
            boolean fits =
                    part.length == out.length && o.get(i).type() == o.get(0).type();
            for (int d = 0; fits && d < out.length; d++) {
                fits = d == axis || part[d] == out[d];
            }
            o.require(fits, "differ in more than their axis " + axis);
            out[axis] = Math.addExact(out[axis], part[axis]);
        }
        return List.of(out);
    }

    private static List<long[]> convolution(NodeOperands o) {
        LayerOp op = LayerOps.parse(o.node(), o.shape(1));
        long[] out = op.outputShape(o.shape(0), o.shape(1));
        o.require(
                !o.given(2) || Arrays.equals(o.shape(2), new long[] {out[1]}), "needs a bias of one value per channel");
        return List.of(out);
    }

    private static List<long[]> gemm(NodeOperands o) {
        o.require(o.rank(0) == 2 && o.rank(1) == 2, "needs two matrices");
        boolean transA = Attributes.integer(o.node(), "transA", 0) != 0;
        boolean transB = Attributes.integer(o.node(), "transB", 0) != 0;
        o.require(o.shape(0)[transA ? 0 : 1] == o.shape(1)[transB ? 1 : 0], "do not fit each other");
        long[] out = {o.shape(0)[transA ? 1 : 0], o.shape(1)[transB ? 0 : 1]};
        o.require(
                !o.given(2)
                        || (o.rank(2) <= 2
                                && broadcasts(out, o.shape(2))
                                && Arrays.equals(Shape.broadcast(out, o.shape(2)), out)),
                "has a bias that does not broadcast to its output");
        return List.of(out);
    }

    private static List<long[]> product(NodeOperands o) {
        long[] a = o.rank(0) == 1 ? new long[] {1, o.shape(0)[0]} : o.shape(0);
        long[] b = o.rank(1) == 1 ? new long[] {o.shape(1)[0], 1} : o.shape(1);
        o.require(a.length >= 2 && b.length >= 2 && a[a.length - 1] == b[b.length - 2], "do not fit each other");
        long[] left = Arrays.copyOf(a, a.length - 2);
        long[] right = Arrays.copyOf(b, b.length - 2);
        o.require(broadcasts(left, right), "do not fit each other");
        long[] stack = Shape.broadcast(left, right);
        long[] out = Arrays.copyOf(stack, stack.length + 2);
        out[stack.length] = a[a.length - 2];
        out[stack.length + 1] = b[b.length - 1];
        return List.of(out);
    }

    private static List<long[]> transpose(NodeOperands o) {
        long[] data = o.shape(0);
        Optional<List<Long>> perm = Attributes.integers(o.node(), "perm");
        long[] out = new long[data.length];
        if (perm.isPresent()) {
            o.require(perm.get().size() == data.length, "has perm " + perm.get() + ", of another rank");
            int[] order =
                    Axes.distinct(perm.get().stream().mapToLong(Long::longValue).toArray(), data.length);
            Arrays.setAll(out, i -> data[order[i]]);
        } else {
            Arrays.setAll(out, i -> data[data.length - 1 - i]);
        }
        return List.of(out);
    }

    private static List<long[]> slice(NodeOperands o) {
        return List.of(Slicing.of(o.op(), o.shape(0), o.integers(1), o.integers(2), o.integers(3), o.integers(4))
                .output());
    }

    private static List<long[]> expand(NodeOperands o) {
        long[] wanted = o.integers(1).orElseThrow(() -> o.wrong("needs a shape"));
        o.require(
                Arrays.stream(wanted).allMatch(d -> d >= 0) && broadcasts(o.shape(0), wanted),
                "does not broadcast to " + Shape.text(wanted));
        return List.of(Shape.broadcast(o.shape(0), wanted));
    }

    private static List<long[]> tile(NodeOperands o) {
        long[] repeats = o.integers(1).orElseThrow(() -> o.wrong("needs repeats"));
        o.require(
                repeats.length == o.rank(0) && Arrays.stream(repeats).allMatch(r -> r >= 0),
                "has repeats " + Arrays.toString(repeats) + ", not one per axis");
        long[] out = o.shape(0).clone();
        Arrays.setAll(out, i -> Math.multiplyExact(out[i], repeats[i]));
        return List.of(out);
    }

    private static List<long[]> pad(NodeOperands o) {
        long[] data = o.shape(0);
        long[] pads = o.integers(1, "pads").orElseThrow(() -> o.wrong("needs pads"));
        int[] axes = o.integers(3)
                .map(a -> Axes.distinct(a, data.length))
                .orElseGet(() -> IntStream.range(0, data.length).toArray());
        o.require(pads.length == 2 * axes.length, "has " + pads.length + " pads, not two per axis");
        o.require(!o.given(2) || o.get(2).elements() == 1, "needs a single value to pad with");
        String mode = Attributes.text(o.node(), "mode", "constant");
        long[] out = data.clone();
        for (int i = 0; i < axes.length; i++) {
            long size = data[axes[i]];
            long before = pads[i];
            long behind = pads[axes.length + i];
            boolean fits = Math.abs(Math.max(-AttributeRules.MOST - 1, before)) <= AttributeRules.MOST
                    && Math.abs(Math.max(-AttributeRules.MOST - 1, behind)) <= AttributeRules.MOST
                    && -before <= size
                    && -behind <= size
                    && size + before + behind >= 0;
            long most = Math.max(before, behind);
            if (mode.equals("reflect")) {
                fits = fits && most < Math.max(1, size + Math.min(0, Math.min(before, behind)));
            } else if (!mode.equals("constant")) {
                fits = fits && (most <= 0 || size + Math.min(0, Math.min(before, behind)) > 0);
            }
            o.require(fits, "has pads " + Arrays.toString(pads) + ", which do not fit its mode, " + mode);
            out[axes[i]] = size + before + behind;
        }
        return List.of(out);
    }

    private static List<long[]> gather(NodeOperands o) {
        int axis = o.axis(0);
        long[] data = o.shape(0);
        indices(o, data[axis]);
        long[] indices = o.shape(1);
        long[] out = new long[data.length - 1 + indices.length];
        System.arraycopy(data, 0, out, 0, axis);
        System.arraycopy(indices, 0, out, axis, indices.length);
        System.arraycopy(data, axis + 1, out, axis + indices.length, data.length - 1 - axis);
        return List.of(out);
    }

    private static List<long[]> gatherElements(NodeOperands o) {
        int axis = o.axis(0);
        long[] data = o.shape(0);
        long[] indices = o.shape(1);
        boolean fits = indices.length == data.length;
        for (int i = 0; fits && i < data.length; i++) {
            fits = i == axis || indices[i] <= data[i];
        }
        o.require(fits, "have indices beyond the data");
        indices(o, data[axis]);
        return List.of(indices);
    }

    /** Requires that indices lie in an axis of that size. */
    private static void indices(NodeOperands o, long size) {
        long[] values = o.integers(1).orElseThrow(() -> o.wrong("needs indices"));
        for (long v : values) {
            o.require(v >= -size && v < size, "has the index " + v + ", of an axis of size " + size);
        }
    }

    private static List<long[]> split(NodeOperands o) {
        int axis = o.axis(0);
        Optional<long[]> sizes = o.integers(1, "split");
        if (sizes.isPresent()) {
            boolean fits = sizes.get().length == o.node().getOutputCount();
            long left = o.shape(0)[axis];
            for (long size : sizes.get()) {
                fits = fits && size >= 0 && size <= left;
                left -= fits ? size : 0;
            }
            o.require(fits && left == 0, "cannot be split into " + Arrays.toString(sizes.get()));
        } else {
            o.require(
                    Attributes.find(o.node(), "num_outputs").isPresent()
                            || o.shape(0)[axis] % o.node().getOutputCount() == 0,
                    "does not divide into " + o.node().getOutputCount() + " equal parts");
        }
        return UNKNOWN;
    }

    private static List<long[]> layerNormalization(NodeOperands o) {
        int axis = o.axis(-1);
        long[] row = Arrays.copyOfRange(o.shape(0), axis, o.rank(0));
        for (int i = 1; i < 3; i++) {
            o.require(
                    !o.given(i)
                            || (broadcasts(o.shape(0), o.shape(i))
                                    && Arrays.equals(Shape.broadcast(o.shape(0), o.shape(i)), o.shape(0))
                                    && o.get(i).elements() <= Shape.elements(row)),
                    "has a scale or bias that does not fit " + Shape.text(row));
        }
        return UNKNOWN;
    }

    private static List<long[]> constantOfShape(NodeOperands o) {
        long[] shape = o.integers(0).orElseThrow(() -> o.wrong("needs a shape"));
        o.require(Arrays.stream(shape).allMatch(d -> d >= 0), "has a negative size");
        return List.of(shape);
    }

    private static List<long[]> range(NodeOperands o) {
        for (int i = 0; i < 3; i++) {
            o.require(o.get(i).elements() == 1, "needs single values");
        }
        if (o.get(0).type() != ElementType.INT64 && o.get(0).type() != ElementType.INT32) {
            return UNKNOWN;
        }
        double start = o.integers(0).orElseThrow()[0];
        double limit = o.integers(1).orElseThrow()[0];
        double step = o.integers(2).orElseThrow()[0];
        o.require(step != 0, "has a step of 0");
        return List.of(new long[] {(long) Math.max(0, Math.ceil((limit - start) / step))});
    }
}
