package dev.rebias.rounding;

import java.util.Arrays;
import java.util.Comparator;

/**
 * Rounds one short row: in the order of {@link Rounding}'s greedy part, but the best {@value #WIDTH} choices of the
 * weights so far are carried along, each with the {@value #NEAREST} nearest values of the next weight. What is left at
 * the end goes on by itself, one weight at a time, and the best of all is taken.
 */
final class Beam {
    /** The longest row that this is done for; the effort for longer ones is better spent on single weights. */
    static final int LONGEST = 16;

    static final int WIDTH = 32;

    /** How many values of a weight are tried. */
    private static final int NEAREST = 5;

    /** How often the row is gone through, one weight after the other. */
    private static final int PASSES = 8;

    private final double[][] h;
    private final double[][] upper;
    private final int[] order;
    private final boolean[] dead;

    Beam(double[][] h, double[][] upper, int[] order, boolean[] dead) {
        this.h = h;
        this.upper = upper;
        this.order = order;
        this.dead = dead;
    }

    /** The weights chosen so far, their errors in the order of elimination, and what they cost. */
    private record Choice(double[] row, double[] errors, double cost) {}

    /** The row's weights as multiples of their steps; those of constant inputs are the old ones. */
    double[] round(double[] target, double[] old, RowGrid grid) {
        int k = target.length;
        Choice[] choices = {new Choice(old.clone(), new double[k], 0)};
        for (int j = k - 1; j >= 0; j--) {
            Choice[] next = new Choice[NEAREST * choices.length];
            int n = 0;
            for (Choice choice : choices) {
                n = extend(choice, j, target, grid, next, n);
            }
            Arrays.sort(next, 0, n, Comparator.comparingDouble(Choice::cost));
            choices = Arrays.copyOf(next, Math.min(n, WIDTH));
        }
        double[] best = choices[0].row();
        double least = Double.POSITIVE_INFINITY;
        for (Choice choice : choices) {
            double[] row = choice.row();
            double cost = descend(row, target, grid);
            if (cost < least) {
                least = cost;
                best = row;
            }
        }
        return best;
    }

    private int extend(Choice choice, int j, double[] target, RowGrid grid, Choice[] next, int count) {
        int i = order[j];
        double asked = 0;
        for (int l = j + 1; l < target.length; l++) {
            asked += upper[j][l] * choice.errors()[l];
        }
        double wanted = target[i] - asked / upper[j][j];
        double middle = dead[i] ? choice.row()[i] : grid.nearest(i, wanted);
        int n = count;
        for (int off = -NEAREST / 2; off <= NEAREST / 2; off++) {
            double value = middle + off;
            if (off != 0 && (dead[i] || !grid.holds(i, value))) {
                continue;
            }
            double[] row = choice.row().clone();
            double[] errors = choice.errors().clone();
            row[i] = value;
            errors[j] = value * grid.step(i) - target[i];
            double part = upper[j][j] * (value * grid.step(i) - wanted);
            next[n++] = new Choice(row, errors, choice.cost() + part * part);
        }
        return n;
    }

    /** Moves single weights while that helps, and tells the row's objective. */
    private double descend(double[] row, double[] target, RowGrid grid) {
        int k = row.length;
        double[] gradient = new double[k];
        for (int i = 0; i < k; i++) {
            double error = row[i] * grid.step(i) - target[i];
            for (int l = 0; l < k; l++) {
                gradient[l] += error * h[i][l];
            }
        }
        boolean moved = true;
        for (int pass = 0; pass < PASSES && moved; pass++) {
            moved = false;
            for (int i = 0; i < k; i++) {
                double step = grid.step(i);
                double best = dead[i] ? row[i] : grid.nearest(i, row[i] * step - gradient[i] / h[i][i]);
                if (best != row[i]) {
                    double by = (best - row[i]) * step;
                    for (int l = 0; l < k; l++) {
                        gradient[l] += by * h[i][l];
                    }
                    row[i] = best;
                    moved = true;
                }
            }
        }
        double cost = 0;
        for (int i = 0; i < k; i++) {
            cost += (row[i] * grid.step(i) - target[i]) * gradient[i];
        }
        return cost;
    }
}
