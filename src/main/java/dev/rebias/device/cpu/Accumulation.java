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
     * Adds rows of x to the first sums and their squares to the second; and the same of z = x + sign y to the third and fourth.
     *
     * @param sign 1 or -1
     * @param rows how many there are, one behind the other
     * @param lanes the length of a row, an even number
     */
    static void addSquares(float[] x, float[] y, double sign, int rows, int lanes, double[][] sums) {
        for (int i = 0; i < lanes; i += 2) {
            double x1 = sums[0][i];
            double x2 = sums[0][i + 1];
            double xx1 = sums[1][i];
            double xx2 = sums[1][i + 1];
            double z1 = sums[2][i];
            double z2 = sums[2][i + 1];
            double zz1 = sums[3][i];
            double zz2 = sums[3][i + 1];
            for (int at = i; at < rows * lanes; at += lanes) {
                double v = x[at];
                double w = x[at + 1];
                x1 += v;
                x2 += w;
                xx1 = Math.fma(v, v, xx1);
                xx2 = Math.fma(w, w, xx2);
                v = Math.fma(sign, y[at], v);
                w = Math.fma(sign, y[at + 1], w);
                z1 += v;
                z2 += w;
                zz1 = Math.fma(v, v, zz1);
                zz2 = Math.fma(w, w, zz2);
            }
            sums[0][i] = x1;
            sums[0][i + 1] = x2;
            sums[1][i] = xx1;
            sums[1][i + 1] = xx2;
            sums[2][i] = z1;
            sums[2][i + 1] = z2;
            sums[3][i] = zz1;
            sums[3][i + 1] = zz2;
        }
    }
}
