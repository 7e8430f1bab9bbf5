package dev.rebias.op;

import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Whether an operation can run on operands of certain types and shapes, for every device alike: what passes here is
 * safe for the libraries and kernels that compute it. All checks are done before any of them sees the operands.
 */
public final class ShapeRules {
    /**
     * How many times as many elements as its operands an operation may make: as many as an image-wide mean that is
     * resized to 256 by 256. More is a mistake, or meant to fill memory and time.
     */
    private static final long MOST_GROWTH = 1 << 16;

    /** So many elements are never too many. */
    private static final long FEW = 1 << 24;

    private ShapeRules() {}

    /**
     * Checks an operation.
     *
     * @param operands what is known of each, in order; empty where one is left out
     * @param mostBytes how large a tensor may be on the device
     * @throws UnsupportedException if the operands do not fit the operation, or make a tensor that is larger
     */
    public static void check(Op op, List<Optional<OperandSpec>> operands, long mostBytes) {
        try {
            if (op instanceof LayerGroup behind) {
                checkLayerGroup(behind, operands, mostBytes);
            } else if (op instanceof ElementwiseGroup group) {
                checkGroup(group, operands, mostBytes);
            } else if (op instanceof OnnxOp node) {
                checkNode(node, operands, mostBytes);
            } else {
                checkLayer(op, operands, mostBytes);
            }
        } catch (ArithmeticException e) {
            throw new UnsupportedException(op.type() + " on operands of such shapes has sizes beyond all numbers", e);
        }
    }

    /**
     * Checks a layer's data.
     *
     * @param wanted the type that they must have
     * @return the shape of the layer's output
     * @throws UnsupportedException as {@link #check} does
     */
    public static long[] checkLayer(
            LayerOp op, ElementType wanted, ElementType type, long[] data, long[] weights, long mostBytes) {
        try {
            if (type != wanted) {
                throw new UnsupportedException(
                        op.type() + " with " + wanted + " data is given " + type + " of shape " + Shape.text(data));
            }
            long[] out = op.outputShape(data, weights);
            long given = Math.addExact(Shape.elements(data), Shape.elements(weights));
            require(op, data, type, given, mostBytes);
            require(op, out, ElementType.FLOAT, given, mostBytes);
            require(op, padded(op, data), ElementType.FLOAT, given, mostBytes);
            return out;
        } catch (ArithmeticException e) {
            throw new UnsupportedException(
                    op.type() + " on data of shape " + Shape.text(data) + " has sizes beyond all numbers", e);
        }
    }

    /**
     * The data with all that the window reads around them; of a transposed convolution, the output before anything is
     * cut off.
     */
    private static long[] padded(LayerOp op, long[] data) {
        long[] out = data.clone();
        for (int i = 0; i < data.length - 2; i++) {
            if (op instanceof Convolution c) {
                out[i + 2] += c.window().begin(i, data[i + 2]) + c.window().end(i, data[i + 2]);
            } else if (op instanceof TransposedConvolution t) {
                Window w = t.window();
                out[i + 2] = Math.multiplyExact(w.strides().get(i), data[i + 2] - 1)
                        + w.extent(i)
                        + t.outputPadding().get(i);
            }
        }
        return out;
    }

    private static long[] checkLayer(Op op, List<Optional<OperandSpec>> operands, long mostBytes) {
        LayerOp layer = op instanceof IntegerLayer integers ? integers.op() : (LayerOp) op;
        ElementType wanted = op instanceof IntegerLayer integers ? integers.dataType() : ElementType.FLOAT;
        OperandSpec data = operands.get(0).orElseThrow(() -> new UnsupportedException(op.type() + " has no data"));
        long[] weights = operands.get(1)
                .orElseThrow(() -> new UnsupportedException(op.type() + " has no weights"))
                .shape();
        long[] out = checkLayer(layer, wanted, data.type(), data.shape(), weights, mostBytes);
        Optional<OperandSpec> vector = operands.size() > 2 ? operands.get(2) : Optional.empty();
        if (vector.isPresent() && vector.get().elements() != layer.channels(weights)) {
            throw new UnsupportedException(op.type() + " with weights " + Shape.text(weights) + " has "
                    + vector.get().elements() + " values for its channels");
        }
        return out;
    }

    private static void checkLayerGroup(LayerGroup op, List<Optional<OperandSpec>> operands, long mostBytes) {
        int own = op.group().operands();
        List<Optional<OperandSpec>> layer = new ArrayList<>(List.of(operands.get(op.place())));
        layer.addAll(operands.subList(own, operands.size()));
        long[] out = checkLayer(op.layer(), layer, mostBytes);
        List<Optional<OperandSpec>> group = new ArrayList<>(operands.subList(0, own));
        group.set(op.place(), Optional.of(OperandSpec.of(ElementType.FLOAT, out)));
        checkGroup(op.group(), group, mostBytes);
    }

    private static void checkGroup(ElementwiseGroup group, List<Optional<OperandSpec>> operands, long mostBytes) {
        List<Optional<OperandSpec>> values = new ArrayList<>(operands);
        for (ElementwiseGroup.Member member : group.members()) {
            List<Optional<OperandSpec>> own = member.inputs().stream()
                    .map(v -> v == ElementwiseGroup.Member.ABSENT ? Optional.<OperandSpec>empty() : values.get(v))
                    .toList();
            long[] shape = checkNode(member.op(), own, mostBytes).get(0);
            values.add(Optional.of(OperandSpec.of(type(member.op(), own), shape)));
        }
    }

    /** The type of what an elementwise operation makes. */
    private static ElementType type(OnnxOp op, List<Optional<OperandSpec>> operands) {
        return switch (op.type()) {
            case "DequantizeLinear" -> ElementType.FLOAT;
            case "QuantizeLinear" ->
                operands.size() > 2 && operands.get(2).isPresent()
                        ? operands.get(2).get().type()
                        : ElementType.UINT8;
            default -> operands.get(0).map(OperandSpec::type).orElse(ElementType.FLOAT);
        };
    }

    private static List<long[]> checkNode(OnnxOp op, List<Optional<OperandSpec>> operands, long mostBytes) {
        List<long[]> outputs = NodeRules.outputs(new NodeOperands(op, operands));
        ElementType type = operands.isEmpty()
                ? ElementType.FLOAT
                : operands.get(0).map(OperandSpec::type).orElse(ElementType.FLOAT);
        long given = operands.stream()
                .flatMap(Optional::stream)
                .mapToLong(OperandSpec::elements)
                .reduce(0, Math::addExact);
        for (long[] output : outputs) {
            require(op, output, type, given, mostBytes);
        }
        return outputs;
    }

    private static void require(Op op, long[] shape, ElementType type, long given, long mostBytes) {
        // Bytes become floats on the way.
        long each = Math.max(Float.BYTES, type.bytes());
        if (Shape.elements(shape) > mostBytes / each) {
            throw new UnsupportedException(op.type() + " makes a tensor of shape " + Shape.text(shape) + ", "
                    + each + " bytes each, more than the " + mostBytes
                    + " bytes that a tensor can have: use a smaller batch size (`batchSize`), or smaller samples");
        }
        if (Shape.elements(shape) > FEW && Shape.elements(shape) / MOST_GROWTH > given) {
            throw new UnsupportedException(
                    op.type() + " makes a tensor of shape " + Shape.text(shape) + " of operands of "
                            + given + " elements in all: it grows by more than " + MOST_GROWTH
                            + " times, check the node's attributes");
        }
    }
}
