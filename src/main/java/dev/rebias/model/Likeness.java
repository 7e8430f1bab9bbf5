package dev.rebias.model;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * How alike the weights of a float layer and a quantised layer are, channel by channel.
 *
 * @param similarity the median over output channels of the cosine of the angle between the two rows of weights: 1 where
 *     they are parallel, about 0 where they have nothing to do with each other; weights rounded to 2 bits still have
 *     0.8. NaN where no channel of both has weights other than zero
 * @param outputsRescaled whether each output channel of the one is another multiple of the same channel of the other,
 *     by more than rounding makes it
 * @param inputsRescaled the same of the input channels
 */
public record Likeness(double similarity, boolean outputsRescaled, boolean inputsRescaled) {
    /** Below this, two layers are taken for different ones, however many weights say so. */
    private static final double PLAUSIBLE = 0.3;

    /**
     * Weights that are few may be alike by chance: so many standard deviations of a median cosine of random weights are
     * asked for, up to the limit.
     */
    private static final double DEVIATIONS = 3.5;

    private static final double MOST_ASKED = 0.75;
    /** The standard deviation of a median in units of that of the mean. */
    private static final double OF_MEDIAN = 1.25;

    /** Rows of fewer weights say little about angles: they are compared all together. */
    private static final int SHORT = 4;

    /** Of a pair whose layers are spelt alike. */
    static Likeness of(Layer q, Layer f) {
        double[] ones = new double[q.channels()];
        Arrays.fill(ones, 1);
        double similarity = new Products(q, f.weights()).similarity(ones);
        Rescaling rescaling = Rescaling.between(q, f);
        return new Likeness(similarity, rescaling.outputs(), rescaling.inputs());
    }

    /** What two rows of weights have to do with each other, for each channel: their product and the squares of both. */
    static final class Products {
        private final double[] product;
        private final double[] floatSquare;
        private final double[] quantizedSquare;
        private final int length;

        /** Both layers' weights stored alike. */
        Products(Layer q, double[] floatWeights) {
            WeightRows rows = WeightRows.of(q.op(), q.weightShape());
            length = rows.length();
            product = new double[rows.channels()];
            floatSquare = new double[product.length];
            quantizedSquare = new double[product.length];
            for (int c = 0; c < product.length; c++) {
                for (int k = 0; k < length; k++) {
                    double a = floatWeights[rows.index(c, k)];
                    double b = q.weights()[rows.index(c, k)];
                    product[c] += a * b;
                    floatSquare[c] += a * a;
                    quantizedSquare[c] += b * b;
                }
            }
        }

        private boolean live(int c) {
            return floatSquare[c] > 0 && quantizedSquare[c] > 0;
        }

        /** The cosines' median, each channel of the float layer multiplied by a factor of that sign. */
        double similarity(double[] factors) {
            if (length < SHORT) {
                double p = 0;
                double f = 0;
                double q = 0;
                for (int c = 0; c < product.length; c++) {
                    p += product[c] * factors[c];
                    f += floatSquare[c] * factors[c] * factors[c];
                    q += quantizedSquare[c];
                }
                return p / Math.sqrt(f * q);
            }
            double[] cosines = new double[product.length];
            int n = 0;
            for (int c = 0; c < cosines.length; c++) {
                if (live(c) && factors[c] != 0) {
                    cosines[n++] =
                            Math.signum(factors[c]) * product[c] / Math.sqrt(floatSquare[c] * quantizedSquare[c]);
                }
            }
            return median(cosines, n);
        }

        /** The median of the cosines without their signs, which factors per channel do not change. */
        double parallelism() {
            double[] cosines = new double[product.length];
            int n = 0;
            for (int c = 0; c < cosines.length; c++) {
                if (live(c)) {
                    cosines[n++] = Math.abs(product[c]) / Math.sqrt(floatSquare[c] * quantizedSquare[c]);
                }
            }
            return median(cosines, n);
        }

        /** The similarity below which the two are taken for different layers. */
        double leastPlausible() {
            long live = IntStream.range(0, product.length).filter(this::live).count();
            double chance = DEVIATIONS * OF_MEDIAN / Math.sqrt(Math.max(1, live * (double) length));
            return Math.max(PLAUSIBLE, Math.min(MOST_ASKED, chance));
        }

        /**
         * How far rounding moves the ratio of two rows' sizes, in natural logarithms, the median over channels: what is
         * left of one beside the other, spread over all weights.
         */
        double noise() {
            double[] all = new double[product.length];
            int n = 0;
            for (int c = 0; c < all.length; c++) {
                if (live(c) && product[c] != 0) {
                    double squaredCosine = product[c] * product[c] / (floatSquare[c] * quantizedSquare[c]);
                    all[n++] = Math.sqrt(Math.max(0, 1 / squaredCosine - 1) / length);
                }
            }
            return n == 0 ? 0 : median(all, n);
        }

        /**
         * How badly factors explain by what the channels of the two differ: 0 where each float channel times its factor
         * has the size of the quantised one. A common factor counts less than one that differs between channels, for
         * rounding makes weights smaller, all about alike.
         */
        double mismatch(double[] factors) {
            double[] logs = new double[product.length];
            int n = 0;
            for (int c = 0; c < logs.length; c++) {
                if (live(c) && factors[c] != 0) {
                    double ratio = product[c] / (floatSquare[c] * factors[c]);
                    logs[n++] = ratio > 0 ? Math.log(ratio) : Math.log(WRONG_SIGN);
                }
            }
            if (n == 0) {
                return 0;
            }
            double middle = median(logs, n);
            double[] spread = new double[n];
            for (int i = 0; i < n; i++) {
                spread[i] = Math.abs(logs[i] - middle);
            }
            return median(spread, n) + COMMON * Math.abs(middle);
        }

        private static final double COMMON = 0.25;
        private static final double WRONG_SIGN = 1e-3;
    }

    private static double median(double[] values, int n) {
        if (n == 0) {
            return Double.NaN;
        }
        double[] sorted = Arrays.copyOf(values, n);
        Arrays.sort(sorted);
        return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
    }
}
