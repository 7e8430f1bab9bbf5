package dev.rebias.rounding;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RoundingTest {
    private static final double DAMPING = 0.01;

    private static RowGrid grid(Random random, int k) {
        int bits = 2 + random.nextInt(4);
        double top = (1 << (bits - 1)) - 1;
        return switch (random.nextInt(3)) {
            case 0 -> RowGrid.uniform(1.0 / top, -top, top, k);
            case 1 -> RowGrid.uniform(0.7 / top, -1, 2 * top, k);
            default -> {
                int run = 1 + random.nextInt(k);
                int n = (k + run - 1) / run;
                double[] steps = random.doubles(n, 0.3 / top, 1.5 / top).toArray();
                double[] low = new double[n];
                double[] high = new double[n];
                Arrays.fill(low, -top - 1);
                Arrays.fill(high, top);
                yield new RowGrid(steps, low, high, run);
            }
        };
    }

    private static double[] gaussian(Random random, int k) {
        return IntStream.range(0, k)
                .mapToDouble(i -> random.nextGaussian() * 0.5)
                .toArray();
    }

    private static double[] nearest(RowGrid grid, double[] target) {
        return IntStream.range(0, target.length)
                .mapToDouble(i -> grid.nearest(i, target[i]))
                .toArray();
    }

    @Test
    void noRowGetsWorseInItsOwnObjective() {
        Random random = new Random(1);
        int moved = 0;
        for (int layer = 0; layer < 200; layer++) {
            int k = 1 + random.nextInt(layer % 4 == 0 ? 150 : 40);
            // With few samples the covariance has less than full rank.
            double[][] h = NaiveRounding.covariance(random, k, 1 + random.nextInt(3 * k));
            int dead = random.nextInt(3) == 0 ? random.nextInt(k) : k;
            for (int i = 0; i < k && dead < k; i++) {
                h[dead][i] = 0;
                h[i][dead] = 0;
            }
            boolean alive = IntStream.range(0, k).anyMatch(i -> h[i][i] > 0);
            if (!alive) {
                assertThat(Rounding.of(h, DAMPING, Parallel.NONE)).isEmpty();
                continue;
            }
            int n = 1 + random.nextInt(9);
            double[][] targets = new double[n][];
            double[][] old = new double[n][];
            RowGrid[] grids = new RowGrid[n];
            for (int r = 0; r < n; r++) {
                grids[r] = grid(random, k);
                targets[r] = gaussian(random, k);
                old[r] = nearest(grids[r], targets[r]);
            }
            Rounding.Rounded rounded =
                    Rounding.of(h, DAMPING, Parallel.NONE).orElseThrow().round(targets, old, grids, Parallel.NONE);
            for (int r = 0; r < n; r++) {
                double before = NaiveRounding.objective(h, targets[r], old[r], grids[r]);
                double after = NaiveRounding.objective(h, targets[r], rounded.multiples()[r], grids[r]);
                double slack = 1e-12 * before;
                assertThat(after).isLessThanOrEqualTo(before + slack);
                assertThat(rounded.before()[r]).isCloseTo(before, within(slack + 1e-15));
                assertThat(rounded.after()[r]).isCloseTo(after, within(1e-9 * before + 1e-15));
                for (int i = 0; i < k; i++) {
                    assertThat(grids[r].holds(i, rounded.multiples()[r][i])).isTrue();
                    assertThat(rounded.multiples()[r][i]).isEqualTo(Math.rint(rounded.multiples()[r][i]));
                    if (h[i][i] == 0) {
                        assertThat(rounded.multiples()[r][i]).isEqualTo(old[r][i]);
                    }
                }
                moved += Arrays.equals(old[r], rounded.multiples()[r]) ? 0 : 1;
            }
        }
        assertThat(moved).isGreaterThan(500);
    }

    @Test
    void rowsOfEightWeightsAreAtTheirOptimum() {
        Random random = new Random(2);
        int best = 0;
        int rows = 120;
        for (int r = 0; r < rows; r++) {
            double[][] h = NaiveRounding.covariance(random, 8, 60);
            RowGrid grid = grid(random, 8);
            double[] target = gaussian(random, 8);
            Rounding.Rounded rounded = Rounding.of(h, DAMPING, Parallel.NONE)
                    .orElseThrow()
                    .round(
                            new double[][] {target},
                            new double[][] {nearest(grid, target)},
                            new RowGrid[] {grid},
                            Parallel.NONE);
            double least = NaiveRounding.best(h, target, grid);
            best += rounded.after()[0] <= least * (1 + 1e-9) ? 1 : 0;
        }
        assertThat((double) best / rows).isGreaterThanOrEqualTo(0.95);
    }

    /**
     * Descent only improves on the greedy part, and the target is far from a tie, so both meet where descent finds
     * nothing to do.
     */
    @Test
    void isNeverWorseThanOptimalBrainQuantization() {
        Random random = new Random(3);
        int equal = 0;
        for (int r = 0; r < 60; r++) {
            int k = 17 + random.nextInt(60);
            double[][] h = NaiveRounding.covariance(random, k, 4 * k);
            RowGrid grid = grid(random, k);
            double[] target = gaussian(random, k);
            double[] naive = NaiveRounding.obq(h, target, grid, DAMPING);
            Rounding.Rounded rounded = Rounding.of(h, DAMPING, Parallel.NONE)
                    .orElseThrow()
                    .round(new double[][] {target}, new double[][] {naive}, new RowGrid[] {grid}, Parallel.NONE);
            double least = NaiveRounding.objective(h, target, naive, grid);
            assertThat(rounded.after()[0]).isLessThanOrEqualTo(least * (1 + 1e-12));
            double[] descended = naive.clone();
            descend(h, target, descended, grid);
            equal += Arrays.equals(descended, rounded.multiples()[0]) ? 1 : 0;
        }
        assertThat(equal).isGreaterThanOrEqualTo(58);
    }

    private static void descend(double[][] h, double[] target, double[] row, RowGrid grid) {
        for (int pass = 0; pass < 3; pass++) {
            for (int i = 0; i < row.length; i++) {
                double gradient = 0;
                for (int j = 0; j < row.length; j++) {
                    gradient += h[i][j] * (row[j] * grid.step(j) - target[j]);
                }
                row[i] = grid.nearest(i, row[i] * grid.step(i) - gradient / h[i][i]);
            }
        }
    }

    @Test
    void sameWeightsOnAnyNumberOfThreads() {
        Random random = new Random(4);
        int k = 300;
        double[][] h = NaiveRounding.covariance(random, k, 500);
        double[][] targets = new double[200][];
        double[][] old = new double[200][];
        RowGrid[] grids = new RowGrid[200];
        for (int r = 0; r < targets.length; r++) {
            grids[r] = grid(random, k);
            targets[r] = gaussian(random, k);
            old[r] = nearest(grids[r], targets[r]);
        }
        Parallel several = (count, work) -> IntStream.range(0, count).parallel().forEach(work);
        double[][] one = Rounding.of(h, DAMPING, Parallel.NONE)
                .orElseThrow()
                .round(targets, old, grids, Parallel.NONE)
                .multiples();
        double[][] many = Rounding.of(h, DAMPING, several)
                .orElseThrow()
                .round(targets, old, grids, several)
                .multiples();
        assertThat(many).isDeepEqualTo(one);
    }

    @Test
    void targetsAreTheDampedLeastSquaresSolution() {
        Random random = new Random(5);
        int k = 90;
        double[][] h = NaiveRounding.covariance(random, k, 300);
        double[][] cross = new double[k][];
        double[][] weights = new double[7][];
        Arrays.setAll(cross, i -> gaussian(random, k));
        Arrays.setAll(weights, i -> gaussian(random, k));
        double[][] targets = Rounding.of(h, DAMPING, Parallel.NONE)
                .orElseThrow()
                .targets(weights, Rounding.times(cross, weights, Parallel.NONE), Parallel.NONE);
        double[][] inverse = NaiveRounding.inverse(NaiveRounding.damped(h, DAMPING));
        for (int r = 0; r < weights.length; r++) {
            for (int i = 0; i < k; i++) {
                double expected = weights[r][i];
                for (int j = 0; j < k; j++) {
                    double right = 0;
                    for (int l = 0; l < k; l++) {
                        right += cross[j][l] * weights[r][l];
                    }
                    expected += right * inverse[j][i];
                }
                assertThat(targets[r][i]).isCloseTo(expected, within(1e-8 * Math.max(1, Math.abs(expected))));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 5, 64, 67, 200})
    void factorTimesItselfIsTheMatrix(int k) {
        double[][] h = NaiveRounding.damped(NaiveRounding.covariance(new Random(k), k, 2 * k), DAMPING);
        double[][] copy = new double[k][];
        Arrays.setAll(copy, i -> h[i].clone());
        double[][] u = Cholesky.inPlace(copy, Parallel.NONE).orElseThrow().upper();
        for (int i = 0; i < k; i++) {
            for (int j = i; j < k; j++) {
                double sum = 0;
                for (int l = 0; l <= i; l++) {
                    sum += u[l][i] * u[l][j];
                }
                assertThat(sum).isCloseTo(h[i][j], within(1e-12 * (1 + h[i][i] + h[j][j])));
            }
        }
    }

    @Test
    void constantInputsLeaveNothingToGoBy() {
        assertThat(Rounding.of(new double[4][4], DAMPING, Parallel.NONE)).isEmpty();
        assertThat(Rounding.of(new double[][] {{Double.NaN}}, DAMPING, Parallel.NONE))
                .isEmpty();
    }

    @Test
    void variancesAreThoseOfTheDefinition() {
        Random random = new Random(6);
        double[][] h = NaiveRounding.covariance(random, 30, 50);
        double[][] rows = {gaussian(random, 30), gaussian(random, 30), gaussian(random, 30)};
        double[] variances = Rounding.variances(h, rows, Parallel.NONE);
        RowGrid grid = RowGrid.uniform(1, -9, 9, 30);
        for (int r = 0; r < rows.length; r++) {
            double[] negative = Arrays.stream(rows[r]).map(v -> -v).toArray();
            double expected = NaiveRounding.objective(h, negative, new double[30], grid);
            assertThat(variances[r]).isCloseTo(expected, within(1e-12 * expected));
        }
    }
}
