package dev.rebias.op;

import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.Shape;
import java.util.Arrays;
import java.util.Optional;

/**
 * ONNX Resize (and Upsample) of the last two dimensions, by nearest neighbour or linearly: for every output row and
 * column, the two inputs that it comes from and the weight of the second.
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
        return Resampling.of(op, data, scales, sizes, Optional.empty()).flatMap(r -> of(r, data));
    }

    /** What that does, if it is of this kind. */
    public static Optional<Resizing> of(Resampling resampling, long[] data) {
        int rank = data.length;
        boolean known = rank >= 2
                && resampling.axes().stream()
                        .allMatch(a -> a.axis() >= rank - 2
                                && a.taps() <= 2
                                && Arrays.stream(a.inputs()).allMatch(i -> i >= 0));
        return known
                ? Optional.of(new Resizing(taps(resampling, rank - 2), taps(resampling, rank - 1), resampling.output()))
                : Optional.empty();
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

    private static Taps taps(Resampling resampling, int axis) {
        int n = Math.toIntExact(resampling.output()[axis]);
        int[] inputs = new int[2 * n];
        float[] weights = new float[n];
        Optional<Resampling.Axis> changed =
                resampling.axes().stream().filter(a -> a.axis() == axis).findFirst();
        for (int i = 0; i < n; i++) {
            inputs[2 * i] = changed.isPresent()
                    ? changed.get().inputs()[i * changed.get().taps()]
                    : i;
            boolean two = changed.isPresent() && changed.get().taps() == 2;
            inputs[2 * i + 1] = two ? changed.get().inputs()[2 * i + 1] : inputs[2 * i];
            weights[i] = two ? changed.get().weights()[2 * i + 1] : 0;
        }
        return new Taps(inputs, weights);
    }

    @Override
    public String toString() {
        return "resize to " + Shape.text(output);
    }
}
