package dev.rebias.rounding;

import java.util.Arrays;

/**
 * Products of a matrix [k, k] and columns [k][n], which lie row by row, so that the innermost loops run along n and are
 * vector loops. Four rows are worked on at a time: one load and one store of the result for four multiplications.
 */
final class Columns {
    private Columns() {}

    /**
     * Adds to rows of {@code out} a matrix's product with rows of {@code in}: out[j] += sign * sum over i of m[j, i]
     * in[i].
     *
     * @param transposed whether m[i, j] stands for m[j, i]
     * @param from the first row of {@code out}
     * @param to behind the last one
     * @param first the first i
     * @param end behind the last i
     */
    static void add(
            double[][] out,
            int from,
            int to,
            double[][] m,
            boolean transposed,
            double sign,
            double[][] in,
            int first,
            int end) {
        int n = in.length == 0 ? 0 : in[0].length;
        int i = first;
        for (; i + 4 <= end; i += 4) {
            for (int j = from; j < to; j++) {
                double a = sign * (transposed ? m[i][j] : m[j][i]);
                double b = sign * (transposed ? m[i + 1][j] : m[j][i + 1]);
                double c = sign * (transposed ? m[i + 2][j] : m[j][i + 2]);
                double d = sign * (transposed ? m[i + 3][j] : m[j][i + 3]);
                add(out[j], a, in[i], b, in[i + 1], c, in[i + 2], d, in[i + 3], n);
            }
        }
        for (; i < end; i++) {
            for (int j = from; j < to; j++) {
                add(out[j], sign * (transposed ? m[i][j] : m[j][i]), in[i], n);
            }
        }
    }

    private static void add(
            double[] out,
            double a,
            double[] x,
            double b,
            double[] y,
            double c,
            double[] z,
            double d,
            double[] w,
            int n) {
        for (int r = 0; r < n; r++) {
            out[r] = Math.fma(a, x[r], Math.fma(b, y[r], Math.fma(c, z[r], Math.fma(d, w[r], out[r]))));
        }
    }

    private static void add(double[] out, double a, double[] x, int n) {
        for (int r = 0; r < n; r++) {
            out[r] = Math.fma(a, x[r], out[r]);
        }
    }

    /** m times in: [k][n]. */
    static double[][] times(double[][] m, double[][] in) {
        int k = m.length;
        double[][] out = new double[k][k == 0 ? 0 : in[0].length];
        for (int from = 0; from < k; from += Cholesky.BLOCK) {
            add(out, from, Math.min(k, from + Cholesky.BLOCK), m, false, 1, in, 0, k);
        }
        return out;
    }

    /**
     * For each column c of {@code in} its c' m c, m being symmetric: only its upper half is read, in half the
     * multiplications.
     */
    static double[] squares(double[][] m, double[][] in) {
        int k = m.length;
        int n = k == 0 ? 0 : in[0].length;
        double[] out = new double[n];
        double[][] right = new double[Cholesky.BLOCK][n];
        for (int from = 0; from < k; from += Cholesky.BLOCK) {
            int to = Math.min(k, from + Cholesky.BLOCK);
            double[][] rows = new double[to][];
            for (int j = from; j < to; j++) {
                rows[j] = right[j - from];
                Arrays.fill(rows[j], 0);
            }
            // Twice what lies right of the diagonal's block, and the block.
            add(rows, from, to, m, false, 2, in, to, k);
            add(rows, from, to, m, false, 1, in, from, to);
            for (int j = from; j < to; j++) {
                for (int r = 0; r < n; r++) {
                    out[r] = Math.fma(in[j][r], rows[j][r], out[r]);
                }
            }
        }
        return out;
    }

    /** Rows [n][k] as columns [k][n]. */
    static double[][] of(double[][] rows, int from, int to, int length) {
        double[][] columns = new double[length][to - from];
        for (int r = from; r < to; r++) {
            for (int k = 0; k < length; k++) {
                columns[k][r - from] = rows[r][k];
            }
        }
        return columns;
    }
}
