package dev.rebias.op;

import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.Shape;
import java.util.Arrays;
import java.util.Optional;

/**
 * ONNX Resize (and Upsample) of the last two dimensions, by nearest neighbour or linearly: for every output row and column, the two inputs that it comes
 * from and the weight of the second.
 *
 * @param output the output's shape
 */
public record Resizing(Taps rows, Taps columns, long[] output) {
    /**
     * Where the outputs along one dimension come from.
     *
     * @param inputs [out, 2], the indices of two inputs
     * @param weights [out], the second's weight, in [0,1]; 0 for nearest neighbour
     */
    public record Taps(int[] inputs, float[] weights) {}

    /**
     * Parses a node.
     *
     * @param scales values of the input (or, in the oldest operator set, attribute) scales
     * @param sizes values of the input sizes
     * @return empty if it resizes other dimensions, or in another way
     */
    public static Optional<Resizing> of(OnnxOp op, long[] data, Optional<float[]> scales, Optional<long[]> sizes) {
        NodeProto node = op.node();
        String mode = Attributes.text(node, "mode", "nearest");
        String transformation = node.getOpType().equals("Upsample") || op.opset() < 11
                ? "asymmetric"
                : Attributes.text(node, "coordinate_transformation_mode", "half_pixel");
        String rounding = op.opset() < 11 ? "floor" : Attributes.text(node, "nearest_mode", "round_prefer_floor");
        int rank = data.length;
        boolean known = (mode.equals("nearest") || mode.equals("linear"))
                && java.util.Set.of("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners")
                        .contains(transformation)
                && Attributes.find(node, "axes").isEmpty()
                && Attributes.integer(node, "antialias", 0) == 0
                && Attributes.text(node, "keep_aspect_ratio_policy", "stretch").equals("stretch");
        if (!known || rank < 2 || scales.isEmpty() == sizes.isEmpty()) {
            return Optional.empty();
        }
        require(data, scales, sizes);
        long[] output = data.clone();
        double[] factor = new double[rank];
        for (int i = 0; i < rank; i++) {
            output[i] = sizes.isPresent() ? sizes.get()[i] : (long) Math.floor(data[i] * (double) scales.get()[i]);
            factor[i] = sizes.isPresent() ? (double) output[i] / data[i] : scales.get()[i];
            if (i < rank - 2 && output[i] != data[i]) {
                return Optional.empty();
            }
        }
        boolean nearest = mode.equals("nearest");
        return Optional.of(new Resizing(
                taps((double) data[rank - 2], output[rank - 2], factor[rank - 2], transformation, nearest, rounding),
                taps((double) data[rank - 1], output[rank - 1], factor[rank - 1], transformation, nearest, rounding),
                output));
    }

    /**
     * Checks what a node without the attribute {@code axes} says of the output's size.
     *
     * @throws UnsupportedException if it does not fit the data
     */
    static void require(long[] data, Optional<float[]> scales, Optional<long[]> sizes) {
        int given =
                scales.map(s -> s.length).orElse(0) + sizes.map(s -> s.length).orElse(0);
        boolean fits = given == data.length && Shape.elements(data) > 0;
        for (int i = 0; fits && i < data.length; i++) {
            double size = scales.isPresent() ? data[i] * (double) scales.get()[i] : sizes.get()[i];
            fits = size >= 1 && size <= AttributeRules.MOST;
        }
        if (!fits) {
            throw new UnsupportedException("Resize of data of shape " + Shape.text(data) + " by scales "
                    + scales.map(Arrays::toString).orElse("[]") + " to sizes "
                    + sizes.map(Arrays::toString).orElse("[]")
                    + ": it takes one of the two, a value per axis, each giving a size of 1 to " + AttributeRules.MOST);
        }
    }

    /** One dimension, as the ONNX specification of Resize gives the coordinates. */
    private static Taps taps(
            double in, long out, double scale, String transformation, boolean nearest, String rounding) {
        int[] inputs = new int[Math.toIntExact(2 * out)];
        float[] weights = new float[Math.toIntExact(out)];
        for (int i = 0; i < out; i++) {
            double x =
                    switch (transformation) {
                        case "asymmetric" -> i / scale;
                        case "align_corners" -> out == 1 ? 0 : i * (in - 1) / (out - 1.0);
                        case "pytorch_half_pixel" -> out > 1 ? (i + 0.5) / scale - 0.5 : 0;
                        default -> (i + 0.5) / scale - 0.5;
                    };
            if (nearest) {
                double rounded =
                        switch (rounding) {
                            case "floor" -> Math.floor(x);
                            case "ceil" -> Math.ceil(x);
                            case "round_prefer_ceil" -> Math.floor(x + 0.5);
                            default -> Math.ceil(x - 0.5);
                        };
                inputs[2 * i] = (int) Math.max(0, Math.min(in - 1, rounded));
                inputs[2 * i + 1] = inputs[2 * i];
            } else {
                double clamped = Math.max(0, Math.min(in - 1, x));
                int low = (int) Math.floor(clamped);
                inputs[2 * i] = low;
                inputs[2 * i + 1] = (int) Math.min(in - 1, low + 1.0);
                weights[i] = (float) (clamped - low);
            }
        }
        return new Taps(inputs, weights);
    }

    @Override
    public String toString() {
        return "resize to " + Shape.text(output);
    }
}
