package dev.rebias.device.cpu;

/**
 * Sums to 48 bits and more. Elements lie in rows, and lane i of every row has sums of its own.
 *
 * <p>JDK 17 makes no vector instructions of the conversion from float to double. So many elements are summed up in vectors of floats, and the rounding errors with them; few are summed up
 * in doubles, in registers, which saves the clearing and the adding up of so many sums.
 */
final class Accumulation {
    private Accumulation() {}

    /**
     * Adds x to the sums {@code high + low}, a vector loop: each addition's rounding error is found by TwoSum (Knuth, "The Art of Computer Programming", volume 2, 4.2.2,
     * theorem B) and added to {@code low}.
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

    /** The same of x^2; a fused multiply-add gives the square's rounding error. */
    private static void addSquare(float[] x, float[] high, float[] low, int n) {
        for (int i = 0; i < n; i++) {
            float h = high[i];
            float v = x[i];
            float p = v * v;
            float s = h + p;
            float b = s - h;
            low[i] += ((h - (s - b)) + (p - b)) + Math.fma(v, v, -p);
            high[i] = s;
        }
    }

    /** The same of (x + low)^2. */
    private static void addSquare(float[] x, float[] low, float[] high, float[] rest, int n) {
        for (int i = 0; i < n; i++) {
            float h = high[i];
            float v = x[i];
            float p = v * v;
            float s = h + p;
            float b = s - h;
            rest[i] += ((h - (s - b)) + (p - b)) + Math.fma(2 * v, low[i], Math.fma(v, v, -p));
            high[i] = s;
        }
    }

    /** z + low = x + sign y. */
    private static void twoSum(float[] x, float[] y, float sign, float[] z, float[] low, int n) {
        for (int i = 0; i < n; i++) {
            float a = x[i];
            float b = sign * y[i];
            float s = a + b;
            float t = s - a;
            z[i] = s;
            low[i] = (a - (s - t)) + (b - t);
        }
    }

    /** How many arrays {@link #addSquares(float[], float[], float, float[][], int)} keeps sums in: two for each, and two to work with. */
    static final int COMPENSATED = 10;

    /**
     * Adds x, x^2, z = x + sign y and z^2 to sums of floats, each in two parts, the second for the rounding errors of the first. Vector loops all, faster than sums of doubles
     * where there are elements enough to make up for the clearing of the sums.
     *
     * @param sign 1 or -1
     * @param sums the two parts of each sum in that order, then two arrays to work with
     */
    static void addSquares(float[] x, float[] y, float sign, float[][] sums, int n) {
        float[] z = sums[8];
        float[] low = sums[9];
        twoSum(x, y, sign, z, low, n);
        add(x, sums[0], sums[1], n);
        addSquare(x, sums[2], sums[3], n);
        add(z, low, sums[4], sums[5], n);
        addSquare(z, low, sums[6], sums[7], n);
    }

    /**
     * Adds rows of x to the first sums and their squares to the second; and the same of z = x + y to the third and fourth.
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
