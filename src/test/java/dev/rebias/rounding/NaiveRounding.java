package dev.rebias.rounding;

import java.util.Arrays;
import java.util.Comparator;
import java.util.Random;

/**
 * Rounding by the definitions, as slowly as they are written: an inverse by Gauss-Jordan, OBQ one weight at a time with
 * the inverse of what is left, every row of a grid tried.
 */
final class NaiveRounding {
    private NaiveRounding() {}

    /** A row's objective (w - t) H (w - t)'. */
    static double objective(double[][] h, double[] target, double[] multiples, RowGrid grid) {
        double sum = 0;
        for (int i = 0; i < target.length; i++) {
            for (int j = 0; j < target.length; j++) {
                sum += (multiples[i] * grid.step(i) - target[i]) * h[i][j] * (multiples[j] * grid.step(j) - target[j]);
            }
        }
        return sum;
    }

    /** The inverse, by Gauss-Jordan with pivots from the diagonal. */
    static double[][] inverse(double[][] matrix) {
        int k = matrix.length;
        double[][] a = new double[k][2 * k];
        for (int i = 0; i < k; i++) {
            System.arraycopy(matrix[i], 0, a[i], 0, k);
            a[i][k + i] = 1;
        }
        for (int p = 0; p < k; p++) {
            double pivot = a[p][p];
            for (int j = 0; j < 2 * k; j++) {
                a[p][j] /= pivot;
            }
            for (int i = 0; i < k; i++) {
                double factor = a[i][p];
                for (int j = 0; j < 2 * k && i != p; j++) {
                    a[i][j] -= factor * a[p][j];
                }
            }
        }
        double[][] out = new double[k][];
        for (int i = 0; i < k; i++) {
            out[i] = Arrays.copyOfRange(a[i], k, 2 * k);
        }
        return out;
    }

    static double[][] damped(double[][] h, double damping) {
        double mean = 0;
        for (int i = 0; i < h.length; i++) {
            mean += h[i][i] / h.length;
        }
        double[][] out = new double[h.length][];
        for (int i = 0; i < h.length; i++) {
            out[i] = h[i].clone();
            out[i][i] += damping * mean;
        }
        return out;
    }

    /**
     * Optimal Brain Quantization in the order of the diagonal (Frantar and Alistarh, "Optimal Brain Compression", 2022,
     * section 5): round one weight, move those that are left by -error / G[i,i] times column i of G, the inverse of H
     * restricted to what is left before this weight.
     */
    static double[] obq(double[][] h, double[] target, RowGrid grid, double damping) {
        int k = target.length;
        double[][] g = damped(h, damping);
        Integer[] order = new Integer[k];
        Arrays.setAll(order, i -> i);
        Arrays.sort(order, Comparator.<Integer>comparingDouble(i -> -h[i][i]).thenComparing(i -> i));
        double[] moved = target.clone();
        double[] multiples = new double[k];
        boolean[] done = new boolean[k];
        for (int i : order) {
            int[] left =
                    java.util.stream.IntStream.range(0, k).filter(j -> !done[j]).toArray();
            double[][] sub = new double[left.length][left.length];
            int at = 0;
            for (int a = 0; a < left.length; a++) {
                at = left[a] == i ? a : at;
                for (int b = 0; b < left.length; b++) {
                    sub[a][b] = g[left[a]][left[b]];
                }
            }
            double[][] inverse = inverse(sub);
            multiples[i] = grid.nearest(i, moved[i]);
            double error = (moved[i] - multiples[i] * grid.step(i)) / inverse[at][at];
            for (int a = 0; a < left.length; a++) {
                moved[left[a]] -= error * inverse[at][a];
            }
            done[i] = true;
        }
        return multiples;
    }

    /** The least objective of all rows that the grid holds, within two steps of the target's nearest ones. */
    static double best(double[][] h, double[] target, RowGrid grid) {
        double[] row = new double[target.length];
        return best(h, target, grid, row, 0);
    }

    private static double best(double[][] h, double[] target, RowGrid grid, double[] row, int i) {
        if (i == row.length) {
            return objective(h, target, row, grid);
        }
        double least = Double.POSITIVE_INFINITY;
        double nearest = grid.nearest(i, target[i]);
        for (int off = -2; off <= 2; off++) {
            if (grid.holds(i, nearest + off)) {
                row[i] = nearest + off;
                least = Math.min(least, best(h, target, grid, row, i + 1));
            }
        }
        return least;
    }

    /** The covariance of samples whose inputs have something to do with each other, as those of a convolution have. */
    static double[][] covariance(Random random, int k, int samples) {
        double[][] mix = new double[k][k];
        for (double[] row : mix) {
            Arrays.setAll(row, j -> random.nextGaussian() * Math.exp(-random.nextDouble() * 2));
        }
        double[] common = random.doubles(k, 0, 2).toArray();
        double[][] h = new double[k][k];
        for (int s = 0; s < samples; s++) {
            double shared = random.nextGaussian();
            double[] own = random.doubles(k).map(v -> v - 0.5).toArray();
            double[] x = new double[k];
            for (int i = 0; i < k; i++) {
                x[i] = shared * common[i];
                for (int j = 0; j < k; j++) {
                    x[i] += mix[i][j] * own[j] / Math.sqrt(k);
                }
            }
            for (int i = 0; i < k; i++) {
                for (int j = 0; j < k; j++) {
                    h[i][j] += x[i] * x[j] / samples;
                }
            }
        }
        return h;
    }
}
