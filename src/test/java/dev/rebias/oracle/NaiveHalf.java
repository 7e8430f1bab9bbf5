package dev.rebias.oracle;

import java.util.Arrays;

/** IEEE half precision by its definition: all its values, and the nearest of them. */
final class NaiveHalf {
    /** All finite values that are not negative, in order. */
    private static final double[] VALUES = values();

    private NaiveHalf() {}

    private static double[] values() {
        double[] all = new double[31 << 10];
        for (int i = 0; i < all.length; i++) {
            int exponent = i >> 10;
            double fraction = (i & 1023) / 1024.0;
            all[i] = exponent == 0 ? fraction * Math.pow(2, -14) : (1 + fraction) * Math.pow(2, exponent - 15);
        }
        return all;
    }

    /** The nearest finite half; of two, the one whose last bit is 0. */
    static double nearest(double value) {
        double size = Math.abs(value);
        int at = Arrays.binarySearch(VALUES, size);
        if (at < 0) {
            int above = -at - 1;
            if (above == VALUES.length) {
                at = above - 1;
            } else {
                double up = VALUES[above] - size;
                double down = size - VALUES[above - 1];
                at = up < down || (up == down && above % 2 == 0) ? above : above - 1;
            }
        }
        return Math.copySign(VALUES[at], value);
    }
}
