package dev.rebias.rounding;

import java.util.Arrays;
import java.util.Comparator;
import java.util.Optional;

/**
 * Finds weights on a grid whose outputs differ least from those of given real weights: for each row w that makes (w -
 * t) H (w - t)' small, H being the covariance of what the row meets.
 *
 * <p>First greedily, input by input, the one with the largest variance first: each weight is rounded to where it makes
 * good, as far as it can, the errors of those rounded before it. With H = U'U the objective is |U (w - t)'|^2, and the
 * weight of column j only meets later ones in row j, so one Cholesky factor gives all the feedback. That is the order
 * and the result of OBQ and GPTQ (Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
 * Transformers", 2022) in another form: they take the factor of the inverse of H (Chen et al., "The Geometry of LLM
 * Quantization: GPTQ as Babai's Nearest Plane Algorithm", 2025). For rows of up to 16 weights the {@value Beam#WIDTH}
 * best choices are carried along instead of one. Then single weights move as long as one gains, at most
 * {@value #PASSES} times through the row. The old weights stay where that has not made the row better.
 *
 * <p>Not bound to a thread: {@link #round} may be called by several.
 */
public final class Rounding {
    /** How often a row is gone through, one weight after the other. */
    private static final int PASSES = 3;

    /** How many rows are worked on together: the vector loops run along them. */
    private static final int ROWS = 128;

    /** The damping of a beam's factor, as a share of the diagonal's mean. */
    private static final double OF_BEAM = 1e-6;

    /** An input whose variance is below this share of the mean is one that never changes. */
    private static final double DEAD = 1e-12;

    private final double[][] h;
    /** Places in the order of elimination: the weight at {@code order[k - 1]} is rounded first. */
    private final int[] order;

    private final boolean[] dead;
    private final Cholesky factor;
    private final double[][] upper;
    /**
     * Of rows short enough for a {@link Beam}, which searches better the nearer its objective is to the true one; of
     * others the factor itself.
     */
    private final Cholesky nearlyUndamped;

    private Rounding(double[][] h, int[] order, boolean[] dead, Cholesky factor, Cholesky nearlyUndamped) {
        this.h = h;
        this.nearlyUndamped = nearlyUndamped;
        this.order = order;
        this.dead = dead;
        this.factor = factor;
        this.upper = factor.upper();
    }

    /**
     * Prepares the rounding of all rows that meet the same inputs.
     *
     * @param h their covariance [k, k], both halves; it is kept, not copied
     * @param damping lambda, what is added to its diagonal for the greedy part and for {@link #targets}, as a share of
     *     the diagonal's mean
     * @return empty where all inputs are constant, or one is not a number: there is nothing to go by
     */
    public static Optional<Rounding> of(double[][] h, double damping, Parallel parallel) {
        double mean = mean(h);
        if (!(mean > 0) || Double.isInfinite(mean)) {
            return Optional.empty();
        }
        int k = h.length;
        boolean[] dead = new boolean[k];
        for (int i = 0; i < k; i++) {
            dead[i] = h[i][i] <= DEAD * mean;
        }
        int[] order = order(h);
        Optional<Cholesky> factor = factor(h, order, damping * mean, parallel);
        Optional<Cholesky> nearlyUndamped =
                k <= Beam.LONGEST ? factor(h, order, Math.min(damping, OF_BEAM) * mean, parallel) : factor;
        return nearlyUndamped.flatMap(n -> factor.map(f -> new Rounding(h, order, dead, f, n)));
    }

    private static double mean(double[][] h) {
        double sum = 0;
        for (int i = 0; i < h.length; i++) {
            sum += h[i][i];
        }
        return sum / h.length;
    }

    /** Positions by their variance, the largest last; among equals the first one last. */
    private static int[] order(double[][] h) {
        Integer[] positions = new Integer[h.length];
        Arrays.setAll(positions, i -> i);
        Arrays.sort(
                positions, Comparator.<Integer>comparingDouble(i -> h[i][i]).thenComparing(Comparator.reverseOrder()));
        return Arrays.stream(positions).mapToInt(Integer::intValue).toArray();
    }

    private static Optional<Cholesky> factor(double[][] h, int[] order, double damping, Parallel parallel) {
        int k = h.length;
        // More of it where rounding has made a matrix of less than full rank indefinite.
        for (double more = damping; more <= 1e3 * damping; more *= 10) {
            double[][] permuted = new double[k][k];
            for (int i = 0; i < k; i++) {
                for (int j = i; j < k; j++) {
                    permuted[i][j] = h[order[i]][order[j]];
                }
                permuted[i][i] += more;
            }
            Optional<Cholesky> factor = Cholesky.inPlace(permuted, parallel);
            if (factor.isPresent()) {
                return factor;
            }
        }
        return Optional.empty();
    }

    /**
     * The best real weights where the layer's inputs in the float network, x_f, are others than those in the quantised
     * one, x_q: the least squares solution of w_f x_f = t x_q, damped so that it stays near w_f (the asymmetric
     * calibration of Li et al., "GPTAQ", 2025, solved at once instead of weight by weight). With v = x_f - x_q it is t
     * = w_f + w_f Cov(v, x_q) (H + lambda I)^-1.
     *
     * @param weights w_f [n][k]
     * @param products Cov(x_q, v) w_f for each row, [n][k], as {@link #times} gives them
     * @return t [n][k]
     */
    public double[][] targets(double[][] weights, double[][] products, Parallel parallel) {
        double[][] out = new double[weights.length][];
        int chunks = (weights.length + ROWS - 1) / ROWS;
        parallel.forEach(chunks, c -> {
            int from = c * ROWS;
            int to = Math.min(weights.length, from + ROWS);
            double[][] moved = Columns.of(products, from, to, h.length);
            double[][] ordered = new double[moved.length][];
            for (int j = 0; j < ordered.length; j++) {
                ordered[j] = moved[order[j]];
            }
            factor.solve(ordered);
            for (int r = from; r < to; r++) {
                out[r] = weights[r].clone();
                for (int i = 0; i < h.length; i++) {
                    out[r][i] += moved[i][r - from];
                }
            }
        });
        return out;
    }

    /**
     * What became of rows.
     *
     * @param multiples the new weights as multiples of their steps [n][k]
     * @param before each row's objective with the old weights
     * @param after with the new ones, never more
     */
    public record Rounded(double[][] multiples, double[] before, double[] after) {}

    /**
     * Rounds rows.
     *
     * @param targets the real weights t [n][k]
     * @param old the old weights as multiples of their steps [n][k]
     * @param grids of each row
     */
    public Rounded round(double[][] targets, double[][] old, RowGrid[] grids, Parallel parallel) {
        int n = targets.length;
        Rounded all = new Rounded(new double[n][], new double[n], new double[n]);
        int chunks = (n + ROWS - 1) / ROWS;
        parallel.forEach(chunks, c -> round(targets, old, grids, c * ROWS, Math.min(n, (c + 1) * ROWS), all));
        return all;
    }

    private void round(double[][] targets, double[][] old, RowGrid[] grids, int from, int to, Rounded all) {
        int k = h.length;
        int n = to - from;
        double[][] rounded = new double[n][k];
        if (k <= Beam.LONGEST) {
            Beam beam = new Beam(h, nearlyUndamped.upper(), order, dead);
            for (int r = 0; r < n; r++) {
                rounded[r] = beam.round(targets[from + r], old[from + r], grids[from + r]);
            }
        } else {
            greedy(targets, old, grids, from, rounded);
        }
        double[][] errors = new double[k][n];
        double[][] oldErrors = new double[k][n];
        for (int r = 0; r < n; r++) {
            for (int i = 0; i < k; i++) {
                double step = grids[from + r].step(i);
                errors[i][r] = rounded[r][i] * step - targets[from + r][i];
                oldErrors[i][r] = old[from + r][i] * step - targets[from + r][i];
            }
        }
        double[][] gradients = Columns.times(h, errors);
        double[] before = Columns.squares(h, oldErrors);
        double[] gradient = new double[k];
        for (int r = 0; r < n; r++) {
            for (int i = 0; i < k; i++) {
                gradient[i] = gradients[i][r];
            }
            RowGrid grid = grids[from + r];
            descend(rounded[r], grid, gradient);
            double after = 0;
            for (int i = 0; i < k; i++) {
                after += (rounded[r][i] * grid.step(i) - targets[from + r][i]) * gradient[i];
            }
            boolean better = after < before[r];
            all.multiples()[from + r] = better ? rounded[r] : old[from + r].clone();
            all.before()[from + r] = before[r];
            all.after()[from + r] = better ? Math.max(0, after) : before[r];
        }
    }

    /** Rounds weight by weight, all rows at once. */
    private void greedy(double[][] targets, double[][] old, RowGrid[] grids, int from, double[][] to) {
        int k = h.length;
        int n = to.length;
        double[][] errors = new double[k][n];
        // What the errors of the weights rounded so far ask of each weight, times its diagonal entry of U.
        double[][] asked = new double[k][n];
        for (int e = k; e > 0; e -= Cholesky.BLOCK) {
            int p = Math.max(0, e - Cholesky.BLOCK);
            Columns.add(asked, p, e, upper, false, 1, errors, e, k);
            for (int j = e - 1; j >= p; j--) {
                Columns.add(asked, j, j + 1, upper, false, 1, errors, j + 1, e);
                int i = order[j];
                for (int r = 0; r < n; r++) {
                    RowGrid grid = grids[from + r];
                    double target = targets[from + r][i];
                    to[r][i] = dead[i] ? old[from + r][i] : grid.nearest(i, target - asked[j][r] / upper[j][j]);
                    errors[j][r] = to[r][i] * grid.step(i) - target;
                }
            }
        }
    }

    /**
     * Moves single weights of a row to their best place while the others stay, and keeps the gradient H (w - t)' up to
     * date.
     */
    private void descend(double[] row, RowGrid grid, double[] gradient) {
        for (int pass = 0; pass < PASSES; pass++) {
            boolean moved = false;
            for (int i = 0; i < row.length; i++) {
                if (dead[i]) {
                    continue;
                }
                double step = grid.step(i);
                double best = grid.nearest(i, row[i] * step - gradient[i] / h[i][i]);
                if (best != row[i]) {
                    add(gradient, (best - row[i]) * step, h[i]);
                    row[i] = best;
                    moved = true;
                }
            }
            if (!moved) {
                return;
            }
        }
    }

    private static void add(double[] to, double factor, double[] row) {
        for (int i = 0; i < row.length; i++) {
            to[i] = Math.fma(factor, row[i], to[i]);
        }
    }

    /**
     * A matrix times each row.
     *
     * @param m [k, k]
     * @param rows [n][k]
     * @return [n][k]
     */
    public static double[][] times(double[][] m, double[][] rows, Parallel parallel) {
        double[][] all = new double[rows.length][m.length];
        int chunks = (all.length + ROWS - 1) / ROWS;
        parallel.forEach(chunks, c -> {
            int from = c * ROWS;
            int to = Math.min(all.length, from + ROWS);
            double[][] columns = Columns.times(m, Columns.of(rows, from, to, m.length));
            for (int r = from; r < to; r++) {
                for (int i = 0; i < m.length; i++) {
                    all[r][i] = columns[i][r - from];
                }
            }
        });
        return all;
    }

    /**
     * The variances (w - t) H (w - t)' of rows.
     *
     * @param h [k, k], both halves
     * @param differences w - t [n][k]
     */
    public static double[] variances(double[][] h, double[][] differences, Parallel parallel) {
        double[] all = new double[differences.length];
        int chunks = (all.length + ROWS - 1) / ROWS;
        parallel.forEach(chunks, c -> {
            int from = c * ROWS;
            int to = Math.min(all.length, from + ROWS);
            double[][] columns = Columns.of(differences, from, to, h.length);
            System.arraycopy(Columns.squares(h, columns), 0, all, from, to - from);
        });
        return all;
    }
}
