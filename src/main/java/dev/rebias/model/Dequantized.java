package dev.rebias.model;

import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import dev.rebias.op.Attributes;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.util.Optional;
import java.util.function.Function;

/**
 * The exact value of a constant that is made from stored integers: by a DequantizeLinear, (q - zero point) * scale in
 * double precision (ONNX operator specification); or by a Div, q / scale factor in float32, where the quotient itself
 * is what is multiplied by. In float32 each product is off by up to 6e-8 of itself, and an error W_f - W_q, which is
 * much smaller than either, by more: enough to send a correction to the other side of a rounding boundary of an int32
 * bias.
 */
public final class Dequantized {
    private final double[] steps;
    private final double[] scale;
    private final int inner;
    private final double[] values;

    private Dequantized(double[] steps, double[] scale, int inner, double[] values) {
        this.steps = steps;
        this.scale = scale;
        this.inner = inner;
        this.values = values;
    }

    /** The integers q - zero point, row-major, as doubles. */
    public double[] steps() {
        return steps.clone();
    }

    /** The scale of element i. */
    public double scale(int i) {
        return scale[i / inner % scale.length];
    }

    /** The values, row-major. */
    public double[] values() {
        return values.clone();
    }

    /**
     * Reads one; empty where the tensors are not stored as they are, or are of other types.
     *
     * @param node the node that makes the constant
     * @param stored gives a tensor that the file stores, by name
     * @param producers gives the node that makes a constant, by the constant's name
     */
    static Optional<Dequantized> of(
            NodeProto node,
            Function<String, Optional<TensorProto>> stored,
            Function<String, Optional<NodeProto>> producers) {
        return switch (node.getOpType()) {
            case "DequantizeLinear" -> of(node, stored);
            case "Div" ->
                producers
                        .apply(node.getInput(0))
                        .filter(cast -> cast.getOpType().equals("Cast"))
                        .flatMap(cast -> quotient(stored.apply(cast.getInput(0)), stored.apply(node.getInput(1))));
            default -> Optional.empty();
        };
    }

    /** Integers divided by FLOATs along one of their axes. */
    private static Optional<Dequantized> quotient(Optional<TensorProto> numerator, Optional<TensorProto> divisor) {
        Optional<long[]> integers = numerator.flatMap(StoredTensor::integers);
        Optional<TensorProto> factors = divisor.filter(t -> t.getDataType() == ElementType.FLOAT.onnxCode());
        if (integers.isEmpty() || factors.isEmpty()) {
            return Optional.empty();
        }
        long[] shape = shape(numerator.get());
        long[] along = shape(factors.get());
        float[] factor = StoredTensor.floats(factors.get());
        int axis = shape.length - along.length;
        boolean one = axis >= 0 && axis < shape.length && along[0] == shape[axis] && along[0] == factor.length;
        if (!one && factor.length != 1) {
            return Optional.empty();
        }
        int inner = factor.length == 1 ? 1 : Math.toIntExact(Shape.elements(shape, axis + 1, shape.length));
        double[] steps = new double[integers.get().length];
        double[] values = new double[steps.length];
        for (int i = 0; i < steps.length; i++) {
            steps[i] = integers.get()[i];
            values[i] = (float) steps[i] / factor[i / inner % factor.length];
        }
        double[] scale = new double[factor.length];
        for (int i = 0; i < scale.length; i++) {
            scale[i] = 1.0 / factor[i];
        }
        return Optional.of(new Dequantized(steps, scale, inner, values));
    }

    private static long[] shape(TensorProto tensor) {
        return tensor.getDimsList().stream().mapToLong(Long::longValue).toArray();
    }

    /** What a DequantizeLinear makes; empty also where it is scaled in blocks. */
    private static Optional<Dequantized> of(NodeProto node, Function<String, Optional<TensorProto>> stored) {
        Optional<TensorProto> tensor = stored.apply(node.getInput(0));
        Optional<long[]> steps = tensor.flatMap(StoredTensor::integers);
        Optional<TensorProto> scaleTensor = stored.apply(node.getInput(1))
                .filter(t -> t.getDataType() == ElementType.FLOAT.onnxCode() && t.getDimsCount() <= 1);
        if (steps.isEmpty() || scaleTensor.isEmpty()) {
            return Optional.empty();
        }
        float[] scale = StoredTensor.floats(scaleTensor.get());
        long[] zero = new long[scale.length];
        if (BiasSites.hasInput(node, 2)) {
            Optional<long[]> zeros = stored.apply(node.getInput(2)).flatMap(StoredTensor::integers);
            if (zeros.isEmpty() || zeros.get().length != zero.length) {
                return Optional.empty();
            }
            zero = zeros.get();
        }
        long[] shape = shape(tensor.get());
        int axis = Math.toIntExact(Attributes.integer(node, "axis", 1));
        if (axis < 0) {
            axis += shape.length;
        }
        int inner = scale.length == 1 ? 1 : Math.toIntExact(Shape.elements(shape, axis + 1, shape.length));
        double[] out = new double[steps.get().length];
        double[] values = new double[out.length];
        double[] scales = new double[scale.length];
        for (int i = 0; i < scales.length; i++) {
            scales[i] = scale[i];
        }
        for (int i = 0; i < out.length; i++) {
            out[i] = steps.get()[i] - zero[i / inner % scale.length];
            values[i] = out[i] * scales[i / inner % scale.length];
        }
        return Optional.of(new Dequantized(out, scales, inner, values));
    }
}
