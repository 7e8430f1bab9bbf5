package dev.rebias.device.cpu.sums;

/**
 * Sums to 48 bits and more. Elements lie in rows, and lane i of every row has sums of its own.
 *
 * <p>JDK 17 makes no vector instructions of the conversion from float to double. So many elements are summed up in
 * vectors of floats, and the rounding errors with them; few are summed up in doubles, in registers, which saves the
 * clearing and the adding up of so many sums. Nor does it make any of loops of more than some sixty operations, so each
 * loop here does one thing, with two rows at most.
 */
final class Accumulation {
    private Accumulation() {}

    /**
     * Adds x to the sums {@code high + low}, a vector loop: each addition's rounding error is found by TwoSum (Knuth,
     * "The Art of Computer Programming", volume 2, 4.2.2, theorem B) and added to {@code low}.
     */
    static void add(float[] x, float[] high, float[] low, int n) {
        for (int i = 0; i < n; i++) {
            float h = high[i];
            float v = x[i];
            float s = h + v;
            float b = s - h;
            low[i] += (h - (s - b)) + (v - b);
            high[i] = s;
        }
    }

    /** The same of x + low. */
    static void add(float[] x, float[] low, float[] high, float[] rest, int n) {
        for (int i = 0; i < n; i++) {
            float h = high[i];
            float v = x[i];
            float s = h + v;
            float b = s - h;
            rest[i] += ((h - (s - b)) + (v - b)) + low[i];
            high[i] = s;
        }
    }

    /**
     * Adds x1 and x2 to sums that started from values larger than anything that is added to them until their end, a
     * vector loop: an addition's rounding error follows from three operations then (FastTwoSum: Dekker, "A
     * floating-point technique for extending the available precision", 1971) and is added to {@code low}.
     */
    static void addRows(float[] x1, float[] x2, float[] high, float[] low, int n) {
        for (int i = 0; i < n; i++) {
            float h = high[i];
            float v = x1[i];
            float s = h + v;
            float e = v - (s - h);
            float w = x2[i];
            float t = s + w;
            low[i] += e + (w - (t - s));
            high[i] = t;
        }
    }

    /** The same of their squares, which fused multiply-adds add without rounding them first. */
    static void addSquaresOfRows(float[] x1, float[] x2, float[] high, float[] low, int n) {
        for (int i = 0; i < n; i++) {
            float h = high[i];
            float v = x1[i];
            float s = Math.fma(v, v, h);
            float e = Math.fma(v, v, h - s);
            float w = x2[i];
            float t = Math.fma(w, w, s);
            low[i] += e + Math.fma(w, w, s - t);
            high[i] = t;
        }
    }

    /** The same as {@link #addRows} of x1 + low1 and x2 + low2. */
    static void addRows(float[] x1, float[] low1, float[] x2, float[] low2, float[] high, float[] low, int n) {
        for (int i = 0; i < n; i++) {
            float h = high[i];
            float v = x1[i];
            float s = h + v;
            float e = (v - (s - h)) + low1[i];
            float w = x2[i];
            float t = s + w;
            low[i] += e + ((w - (t - s)) + low2[i]);
            high[i] = t;
        }
    }

    /** The same of their squares. */
    static void addSquaresOfRows(float[] x1, float[] low1, float[] x2, float[] low2, float[] high, float[] low, int n) {
        for (int i = 0; i < n; i++) {
            float h = high[i];
            float v = x1[i];
            float s = Math.fma(v, v, h);
            float e = Math.fma(v + v, low1[i], Math.fma(v, v, h - s));
            float w = x2[i];
            float t = Math.fma(w, w, s);
            low[i] += e + Math.fma(w + w, low2[i], Math.fma(w, w, s - t));
            high[i] = t;
        }
    }

    /** Adds x^2 and (x + sign y)^2, and never mind the rounding. */
    static void addRoughly(float[] x, float[] y, float sign, float[] squares, float[] ofTotals, int n) {
        for (int i = 0; i < n; i++) {
            float v = x[i];
            float z = v + sign * y[i];
            squares[i] += v * v;
            ofTotals[i] += z * z;
        }
    }

    /** Makes y + low of y, exactly x + sign y. */
    static void twoSum(float[] x, float[] y, float sign, float[] low, int n) {
        for (int i = 0; i < n; i++) {
            float a = x[i];
            float b = sign * y[i];
            float s = a + b;
            float t = s - a;
            low[i] = (a - (s - t)) + (b - t);
            y[i] = s;
        }
    }

    /**
     * Adds rows of x to the first sums and their squares to the second; and the same of z = x + y to the third and
     * fourth.
     *
     * @param rows how many there are, one behind the other
     * @param lanes the length of a row, an even number
     * @param sums four of every lane
     */
    static void addSquares(float[] x, float[] y, int rows, int lanes, double[][] sums) {
        addSquares(x, y, rows, lanes, sums[0], sums[1], sums[2], sums[3]);
    }

    private static void addSquares(
            float[] x, float[] y, int rows, int lanes, double[] sx, double[] sxx, double[] sz, double[] szz) {
        for (int i = 0; i < lanes; i += 2) {
            double x1 = sx[i];
            double x2 = sx[i + 1];
            double xx1 = sxx[i];
            double xx2 = sxx[i + 1];
            double z1 = sz[i];
            double z2 = sz[i + 1];
            double zz1 = szz[i];
            double zz2 = szz[i + 1];
            for (int row = 0, at = i; row < rows; row++, at += lanes) {
                double v = x[at];
                double w = x[at + 1];
                x1 += v;
                x2 += w;
                xx1 = Math.fma(v, v, xx1);
                xx2 = Math.fma(w, w, xx2);
                v += y[at];
                w += y[at + 1];
                z1 += v;
                z2 += w;
                zz1 = Math.fma(v, v, zz1);
                zz2 = Math.fma(w, w, zz2);
            }
            sx[i] = x1;
            sx[i + 1] = x2;
            sxx[i] = xx1;
            sxx[i + 1] = xx2;
            sz[i] = z1;
            sz[i + 1] = z2;
            szz[i] = zz1;
            szz[i + 1] = zz2;
        }
    }
}
