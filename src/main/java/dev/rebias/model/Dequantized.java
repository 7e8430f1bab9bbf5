package dev.rebias.model;

import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import dev.rebias.op.Attributes;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.util.Optional;
import java.util.function.Function;

/**
 * The exact value of a constant that a DequantizeLinear makes from stored integers: (q - zero point) * scale in double precision (ONNX operator
 * specification). In float32 each weight is off by up to 6e-8 of itself, and an error W_f - W_q, which is much smaller than either, by more:
 * enough to send a correction to the other side of a rounding boundary of an int32 bias.
 */
public final class Dequantized {
    private final double[] steps;
    private final float[] scale;
    private final int inner;

    private Dequantized(double[] steps, float[] scale, int inner) {
        this.steps = steps;
        this.scale = scale;
        this.inner = inner;
    }

    /** The integers q - zero point, row-major, as doubles. */
    public double[] steps() {
        return steps.clone();
    }

    /** The scale of element i. */
    public float scale(int i) {
        return scale[i / inner % scale.length];
    }

    /** The values, row-major. */
    public double[] values() {
        double[] out = new double[steps.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = steps[i] * scale(i);
        }
        return out;
    }

    /**
     * Reads one; empty where the tensors are not stored as they are, are of other types, or are scaled in blocks.
     *
     * @param node a DequantizeLinear
     * @param stored gives a tensor that the file stores, by name
     */
    static Optional<Dequantized> of(NodeProto node, Function<String, Optional<TensorProto>> stored) {
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
        long[] shape =
                tensor.get().getDimsList().stream().mapToLong(Long::longValue).toArray();
        int axis = Math.toIntExact(Attributes.integer(node, "axis", 1));
        if (axis < 0) {
            axis += shape.length;
        }
        int inner = scale.length == 1 ? 1 : Math.toIntExact(Shape.elements(shape, axis + 1, shape.length));
        double[] out = new double[steps.get().length];
        for (int i = 0; i < out.length; i++) {
            out[i] = steps.get()[i] - zero[i / inner % scale.length];
        }
        return Optional.of(new Dequantized(out, scale, inner));
    }
}
