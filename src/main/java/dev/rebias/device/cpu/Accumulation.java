package dev.rebias.device.cpu;

/**
 * Sums to 48 bits and more. Elements lie in rows, and lane i of every row has sums of its own.
 *
 * <p>JDK 17 makes no vector instructions of the conversion from float to double. Sums of squares are kept in doubles all the same, in registers: with that, two lanes take as
 * long as vectors of floats would whose rounding errors have to be found and added up. Plain sums have few enough of these that vectors win.
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
