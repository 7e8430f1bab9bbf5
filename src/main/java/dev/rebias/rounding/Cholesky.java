package dev.rebias.rounding;

import java.util.Optional;

/**
 * The upper factor of a symmetric positive definite matrix: H = U' U. By blocks of rows, right-looking (Golub and Van
 * Loan, "Matrix Computations", 4.2.5): k^3 / 3 multiplications, nearly all of them in vector loops over data in the
 * second-level cache. A matrix of 4,608 rows takes about two seconds on one core, and half of that on two.
 */
final class Cholesky {
    /** How many rows are eliminated together. */
    static final int BLOCK = 64;

    /**
     * How many columns of a block are worked on together: {@code BLOCK} rows of them fit into the second-level cache.
     */
    private static final int TILE = 512;

    private final double[][] upper;

    private Cholesky(double[][] upper) {
        this.upper = upper;
    }

    /** The factor's rows; below the diagonal they hold no values of it. */
    double[][] upper() {
        return upper;
    }

    /**
     * Factors a matrix in its place.
     *
     * @param h whose upper half is read, and overwritten
     * @return empty where it is not positive definite in double precision
     */
    static Optional<Cholesky> inPlace(double[][] h, Parallel parallel) {
        int n = h.length;
        for (int p = 0; p < n; p += BLOCK) {
            int e = Math.min(n, p + BLOCK);
            if (!eliminate(h, p, e)) {
                return Optional.empty();
            }
            int first = p;
            int tiles = (n - e + TILE - 1) / TILE;
            parallel.forEach(tiles, t -> update(h, first, e, e + t * TILE, Math.min(n, e + (t + 1) * TILE)));
        }
        return Optional.of(new Cholesky(h));
    }

    /** Makes rows of the factor of the rows p to e, whose part left of p is done. */
    private static boolean eliminate(double[][] h, int p, int e) {
        int n = h.length;
        for (int i = p; i < e; i++) {
            double[] row = h[i];
            if (!(row[i] > 0)) {
                return false;
            }
            scale(row, 1 / Math.sqrt(row[i]), i, n);
            for (int below = i + 1; below < e; below++) {
                subtract(h[below], row[below], row, below, n);
            }
        }
        return true;
    }

    private static void scale(double[] row, double factor, int from, int to) {
        for (int j = from; j < to; j++) {
            row[j] *= factor;
        }
    }

    private static void subtract(double[] from, double factor, double[] row, int first, int to) {
        for (int j = first; j < to; j++) {
            from[j] -= factor * row[j];
        }
    }

    /** Subtracts what the rows p to e take away from columns of all rows below. */
    private static void update(double[][] h, int p, int e, int from, int to) {
        for (int i = e; i < to; i++) {
            int first = Math.max(i, from);
            int q = p;
            for (; q + 4 <= e; q += 4) {
                subtract(h[i], h[q], h[q + 1], h[q + 2], h[q + 3], i, first, to);
            }
            for (; q < e; q++) {
                subtract(h[i], h[q][i], h[q], first, to);
            }
        }
    }

    private static void subtract(
            double[] out, double[] x, double[] y, double[] z, double[] w, int at, int from, int to) {
        double a = -x[at];
        double b = -y[at];
        double c = -z[at];
        double d = -w[at];
        for (int j = from; j < to; j++) {
            out[j] = Math.fma(a, x[j], Math.fma(b, y[j], Math.fma(c, z[j], Math.fma(d, w[j], out[j]))));
        }
    }

    /** Solves H x = b in the place of b, columns [k][n]. */
    void solve(double[][] b) {
        int k = upper.length;
        for (int p = 0; p < k; p += BLOCK) {
            int e = Math.min(k, p + BLOCK);
            for (int j = p; j < e; j++) {
                Columns.add(b, j, j + 1, upper, true, -1, b, p, j);
                scale(b[j], 1 / upper[j][j], 0, b[j].length);
            }
            for (int from = e; from < k; from += BLOCK) {
                Columns.add(b, from, Math.min(k, from + BLOCK), upper, true, -1, b, p, e);
            }
        }
        for (int e = k; e > 0; e -= BLOCK) {
            int p = Math.max(0, e - BLOCK);
            Columns.add(b, p, e, upper, false, -1, b, e, k);
            for (int j = e - 1; j >= p; j--) {
                Columns.add(b, j, j + 1, upper, false, -1, b, j + 1, e);
                scale(b[j], 1 / upper[j][j], 0, b[j].length);
            }
        }
    }
}
