package dev.rebias.measure;

import dev.rebias.device.UnfoldedTotals;
import dev.rebias.device.WeightError;
import dev.rebias.op.Taps;
import dev.rebias.op.Unfolding;
import dev.rebias.op.WeightGrid;
import dev.rebias.rounding.Parallel;
import dev.rebias.rounding.Rounding;
import dev.rebias.rounding.RowGrid;
import java.util.Arrays;
import java.util.Optional;

/**
 * Chooses every weight of a layer anew from the second moments of its input, and tells what that does to the layer's
 * errors. With D = W_f - W and u = W_f (x_f - x_q), which is 0 in the reference {@code layer}, the error is
 *
 * <pre>
 * e = u + D x_q        mean: E[u] + D E[x_q]        variance: Var[u] + 2 Cov(u, x_q) D' + D Cov(x_q, x_q) D'
 * </pre>
 *
 * so both follow for whatever weights W, on the samples that the weights come from and on those that are held out.
 */
final class Rerounding {
    /** What is added to the covariance's diagonal, as a share of its mean: so much at least, and so much at most. */
    private static final double DAMPING = 0.01;

    private static final double MOST_DAMPING = 1;

    /**
     * Of fewer samples the covariance says less, and the damping grows as they get fewer: so much over their number. On
     * samples that were not seen, the outputs' SQNR is best at about this (docs/decisions/020).
     */
    private static final double DAMPING_TIMES_SAMPLES = 10;

    private final WeightError layer;
    private final WeightGrid grid;
    private final Unfolding unfolding;
    private final Parallel parallel;
    private final double[] reference;

    Rerounding(WeightError layer, WeightGrid grid, Parallel parallel) {
        this.layer = layer;
        this.grid = grid;
        this.parallel = parallel;
        this.unfolding = Unfolding.of(layer.op(), layer.shape()).orElseThrow();
        this.reference =
                Arrays.stream(layer.reference()).map(w -> w / layer.scale()).toArray();
    }

    /**
     * What one set of samples says of the errors with the old and with the new weights, per output channel, without the
     * biases' part.
     */
    record Effect(Filling.Statistics before, double[] meansBefore, Filling.Statistics after, double[] meansAfter) {}

    /**
     * What was chosen.
     *
     * @param multiples the new weights as multiples of their steps, as the layer stores them
     * @param own of the samples that the weights come from
     * @param heldOut of those that are held out, where some are
     */
    record Chosen(double[] multiples, Effect own, Optional<Effect> heldOut) {}

    /** Chooses. */
    Chosen choose(UnfoldedTotals own, Optional<UnfoldedTotals> heldOut) {
        double damping = Math.min(MOST_DAMPING, Math.max(DAMPING, DAMPING_TIMES_SAMPLES / own.samples()));
        double[] multiples = grid.multiples().clone();
        double[] old = multiples.clone();
        int perGroup = unfolding.channelsPerGroup();
        Sums ofOwn = new Sums(own);
        Optional<Sums> ofHeldOut = heldOut.map(Sums::new);
        // Many small groups are worked on side by side, the rows of one large group likewise.
        boolean many = unfolding.groups() > 1;
        (many ? parallel : Parallel.NONE).forEach(unfolding.groups(), g -> {
            Parallel within = many ? Parallel.NONE : parallel;
            int first = g * perGroup;
            Group group = ofOwn.group(g);
            double[][] weights = rows(reference, first, perGroup);
            double[][] oldRows = signed(old, first, perGroup);
            RowGrid[] grids = new RowGrid[perGroup];
            Arrays.setAll(grids, r -> rowGrid(first + r));
            Optional<double[][]> crossed = group.crossed(weights, within);
            Optional<Rounding.Rounded> rounded = Rounding.of(group.h, damping, within)
                    .map(rounding -> rounding.round(
                            crossed.map(c -> rounding.targets(weights, c, within))
                                    .orElse(weights),
                            oldRows,
                            grids,
                            within));
            double[][] chosen = rounded.map(Rounding.Rounded::multiples).orElse(oldRows);
            double[][] before = differences(weights, oldRows, grids);
            double[][] after = differences(weights, chosen, grids);
            // Without an input of the float layer's own the objective is the variance.
            ofOwn.add(
                    group,
                    first,
                    weights,
                    before,
                    after,
                    crossed,
                    crossed.isEmpty() ? rounded : Optional.empty(),
                    within);
            ofHeldOut.ifPresent(sums -> {
                Group other = sums.group(g);
                sums.add(
                        other, first, weights, before, after, other.crossed(weights, within), Optional.empty(), within);
            });
            for (int r = 0; r < perGroup; r++) {
                for (int k = 0; k < chosen[r].length; k++) {
                    int at = unfolding.weight(first + r, k);
                    multiples[at] = chosen[r][k] * Math.signum(grid.step(at)) + 0.0;
                }
            }
        });
        return new Chosen(multiples, ofOwn.effect(), ofHeldOut.map(Sums::effect));
    }

    private double[][] rows(double[] stored, int first, int n) {
        double[][] rows = new double[n][];
        Arrays.setAll(rows, r -> unfolding.row(stored, first + r));
        return rows;
    }

    /** Multiples of the steps' sizes: a step is negative where a channel is multiplied by a negative factor. */
    private double[][] signed(double[] multiples, int first, int n) {
        double[][] rows = rows(multiples, first, n);
        for (int r = 0; r < n; r++) {
            for (int k = 0; k < rows[r].length; k++) {
                rows[r][k] *= Math.signum(grid.step(unfolding.weight(first + r, k)));
            }
        }
        return rows;
    }

    private RowGrid rowGrid(int channel) {
        int n = unfolding.length();
        double[] steps = new double[n];
        double[] lowest = new double[n];
        double[] highest = new double[n];
        boolean one = true;
        for (int k = 0; k < n; k++) {
            int weight = unfolding.weight(channel, k);
            boolean negative = grid.step(weight) < 0;
            steps[k] = Math.abs(grid.step(weight));
            lowest[k] = negative ? -grid.highest(weight) : grid.lowest(weight);
            highest[k] = negative ? -grid.lowest(weight) : grid.highest(weight);
            one &= steps[k] == steps[0] && lowest[k] == lowest[0] && highest[k] == highest[0];
        }
        return one ? RowGrid.uniform(steps[0], lowest[0], highest[0], n) : new RowGrid(steps, lowest, highest, 1);
    }

    /** W_f - W. */
    private static double[][] differences(double[][] weights, double[][] multiples, RowGrid[] grids) {
        double[][] out = new double[weights.length][];
        for (int r = 0; r < out.length; r++) {
            out[r] = weights[r].clone();
            for (int k = 0; k < out[r].length; k++) {
                out[r][k] -= multiples[r][k] * grids[r].step(k);
            }
        }
        return out;
    }

    /** One group's moments, in the data's real values. */
    private static final class Group {
        private final double[] means;
        private final double[][] h;
        /** Cov(x_q[i], v[j]). */
        private final Optional<double[][]> cross;

        Group(UnfoldedTotals totals, int number, double scale) {
            this.means = Arrays.stream(totals.means(number)).map(m -> m * scale).toArray();
            this.h = totals.covariance(number, scale);
            this.cross = totals.joint() ? Optional.of(totals.crossCovariance(number, scale)) : Optional.empty();
        }

        /** Cov(u, x_q) for each row of weights, where the float layer has an input of its own. */
        Optional<double[][]> crossed(double[][] weights, Parallel within) {
            return cross.map(c -> Rounding.times(c, weights, within));
        }
    }

    /** The statistics of all channels on one set of samples. */
    private final class Sums {
        private final UnfoldedTotals totals;
        private final double[][] means = new double[3][unfolding.channels()];
        private final double[][] variances = new double[3][unfolding.channels()];

        Sums(UnfoldedTotals totals) {
            this.totals = totals;
        }

        Group group(int number) {
            return new Group(totals, number, layer.scale());
        }

        /**
         * Adds a group's channels: with the old weights, with the new ones, and of the float layer's outputs.
         *
         * @param crossed Cov(u, x_q) for each row of weights, where the float layer has an input of its own
         * @param known where the first two variances are known, what knows them
         */
        void add(
                Group group,
                int first,
                double[][] weights,
                double[][] before,
                double[][] after,
                Optional<double[][]> crossed,
                Optional<Rounding.Rounded> known,
                Parallel within) {
            double[][] ofU = crossed.orElse(new double[0][]);
            double[][][] matrices = {before, after, weights};
            double factor = unfolding.factor();
            for (int kind = 0; kind < matrices.length; kind++) {
                double[] own = known.isPresent() && kind < 2
                        ? (kind == 0 ? known.get().before() : known.get().after())
                        : Rounding.variances(group.h, matrices[kind], within);
                for (int r = 0; r < own.length; r++) {
                    double mean = dot(matrices[kind][r], group.means);
                    double variance = own[r];
                    if (totals.joint()) {
                        double u = totals.references()[first + r] / totals.count();
                        variance += totals.squares()[first + r] / totals.count()
                                - u * u
                                + 2 * dot(ofU[r], matrices[kind][r]);
                        mean += u;
                    }
                    means[kind][first + r] = mean * factor;
                    variances[kind][first + r] = Math.max(0, variance) * factor * factor;
                }
            }
        }

        Effect effect() {
            double[] squares = new double[unfolding.channels()];
            Arrays.setAll(squares, c -> variances[2][c] + means[2][c] * means[2][c]);
            return new Effect(statistics(0, squares), means[0], statistics(1, squares), means[1]);
        }

        private Filling.Statistics statistics(int kind, double[] squares) {
            double[] unknown = new double[squares.length];
            Arrays.fill(unknown, Double.NaN);
            return new Filling.Statistics(variances[kind], means[2], squares, unknown);
        }
    }

    private static double dot(double[] a, double[] b) {
        return Taps.dot(a, 0, b, 0, a.length);
    }
}
