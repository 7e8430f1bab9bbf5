package dev.rebias.tensor;

import java.util.Arrays;
import java.util.stream.Collectors;

/** Arithmetic on dimensions. A shape is a plain {@code long[]}, outermost dimension first, as in ONNX. */
public final class Shape {
    private Shape() {}

    /**
     * The number of elements of a tensor of this shape; 1 for a scalar.
     *
     * @throws ArithmeticException if the product does not fit a long
     */
    public static long elements(long... shape) {
        long n = 1;
        for (long d : shape) {
            n = Math.multiplyExact(n, d);
        }
        return n;
    }

    /** The product of the dimensions from {@code from} (inclusive) to {@code to} (exclusive). */
    public static long elements(long[] shape, int from, int to) {
        return elements(Arrays.copyOfRange(shape, from, to));
    }

    /** The shape as messages show it: {@code [1,3,224,224]}. */
    public static String text(long... shape) {
        return Arrays.stream(shape).mapToObj(Long::toString).collect(Collectors.joining(",", "[", "]"));
    }
}
