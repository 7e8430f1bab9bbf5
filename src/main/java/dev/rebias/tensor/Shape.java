package dev.rebias.tensor;

import java.util.Arrays;

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

    /**
     * The shape of two tensors together under ONNX's (numpy's) broadcasting.
     *
     * @throws IllegalArgumentException if they do not go together
     */
    public static long[] broadcast(long[] a, long[] b) {
        int rank = Math.max(a.length, b.length);
        long[] out = new long[rank];
        for (int i = 1; i <= rank; i++) {
            long x = i <= a.length ? a[a.length - i] : 1;
            long y = i <= b.length ? b[b.length - i] : 1;
            if (x != y && x != 1 && y != 1) {
                throw new IllegalArgumentException("shapes " + text(a) + " and " + text(b) + " do not broadcast");
            }
            out[rank - i] = x == 1 ? y : x;
        }
        return out;
    }

    /** The shape as messages show it: {@code [1,3,224,224]}. */
    public static String text(long... shape) {
        return Arrays.toString(shape).replace(" ", "");
    }
}
