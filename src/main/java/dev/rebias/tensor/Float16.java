package dev.rebias.tensor;

/** IEEE 754 binary16, as bits. */
public final class Float16 {
    /** The largest finite value. */
    public static final float LARGEST = 65504;

    private Float16() {}

    /** The value of such bits. */
    public static float toFloat(short bits) {
        int exponent = bits >> 10 & 31;
        int fraction = bits & 1023;
        float magnitude;
        if (exponent == 31) {
            magnitude = fraction == 0 ? Float.POSITIVE_INFINITY : Float.NaN;
        } else if (exponent == 0) {
            magnitude = fraction * 0x1p-24f;
        } else {
            magnitude = Math.scalb((float) (1024 + fraction), exponent - 25);
        }
        return bits < 0 ? -magnitude : magnitude;
    }

    /** The bits of the nearest such value, of two equally near ones the even one; infinite beyond the range. */
    public static short of(double value) {
        double magnitude = Math.abs(value);
        int sign = Math.copySign(1, value) < 0 ? 0x8000 : 0;
        if (Double.isNaN(value)) {
            return 0x7E00;
        }
        if (magnitude >= LARGEST + 16) {
            return (short) (sign | 0x7C00);
        }
        // From 2^-14 on there are 11 digits, below as many as are left above 2^-24.
        int exponent = Math.max(-14, Math.getExponent(magnitude));
        double digits = Math.rint(Math.scalb(magnitude, 10 - exponent));
        // A carry into the next power of two lands in the exponent's bits, where it belongs.
        return (short) (sign | (int) digits + ((exponent + 14) << 10));
    }
}
