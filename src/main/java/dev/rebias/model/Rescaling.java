package dev.rebias.model;

import java.util.Arrays;

/**
 * Whether the weights of a quantised layer are the float layer's with each output channel, or each input channel,
 * multiplied by a factor of its own, as cross-layer equalisation leaves them (Nagel et al., ICCV 2019, section 4.1):
 * {@code W_q[c,i] = a[c] g[i] W_f[c,i]}.
 *
 * @param outputs whether a is not 1
 * @param inputs whether g is not 1
 */
record Rescaling(boolean outputs, boolean inputs) {
    /** What is off by less than this, relative to its size, is taken for rounding. */
    private static final double ROUNDING = 0.1;

    /** Factors must explain this share of the difference. */
    private static final double EXPLAINED = 0.5;

    /** How far apart (in natural logarithms) factors must be. */
    private static final double FACTOR = 0.05;

    /** The same in units of what rounding makes of a factor. */
    private static final double NOISE = 3;

    /** The share of weights that must be left to show whether factors explain them. */
    private static final double ENOUGH = 0.5;

    private static final int ROUNDS = 20;

    /**
     * Where so many rounds leave more than that share, as with weights of few bits, the others are not worth their
     * time.
     */
    private static final int FIRST_ROUNDS = 2;

    private static final double HOPELESS = 0.9;

    /** For two layers with weights in one order. */
    static Rescaling between(Layer q, Layer f) {
        WeightRows rows = WeightRows.of(q.op(), q.weightShape());
        double[] a = new double[rows.channels()];
        double[] g = new double[rows.inputs()];
        Arrays.fill(a, 1);
        Arrays.fill(g, 1);
        double before = residual(rows, q, f, a, g);
        if (!(before > ROUNDING)) {
            return new Rescaling(false, false);
        }
        for (int round = 0; round < ROUNDS; round++) {
            fit(rows, q, f, a, g, true);
            fit(rows, q, f, a, g, false);
            if (round == FIRST_ROUNDS && residual(rows, q, f, a, g) > HOPELESS * before) {
                return new Rescaling(false, false);
            }
        }
        double after = residual(rows, q, f, a, g);
        int weights = q.weights().length;
        // As many factors take as many dimensions out of any difference.
        double free = 1 - (a.length + g.length) / (double) weights;
        if (free < ENOUGH || !(after < EXPLAINED * Math.sqrt(free) * before)) {
            return new Rescaling(false, false);
        }
        boolean inputs = spread(g) > Math.max(FACTOR, NOISE * after / Math.sqrt(weights / (double) g.length));
        boolean outputs = spread(a) > Math.max(FACTOR, NOISE * after / Math.sqrt(rows.length()));
        // A factor common to all channels is the outputs' where nothing else differs, and may be the inputs' where they
        // differ.
        return new Rescaling(outputs || !inputs, inputs);
    }

    /** The factors of output channels, or of input channels, that leave the least squares. */
    private static void fit(WeightRows rows, Layer q, Layer f, double[] a, double[] g, boolean outputs) {
        double[] product = new double[outputs ? a.length : g.length];
        double[] square = new double[product.length];
        for (int c = 0; c < rows.channels(); c++) {
            for (int k = 0; k < rows.length(); k++) {
                int i = rows.input(c, k);
                double x = f.weights()[rows.index(c, k)] * (outputs ? g[i] : a[c]);
                product[outputs ? c : i] += x * q.weights()[rows.index(c, k)];
                square[outputs ? c : i] += x * x;
            }
        }
        for (int i = 0; i < product.length; i++) {
            if (square[i] > 0 && product[i] > 0) {
                (outputs ? a : g)[i] = product[i] / square[i];
            }
        }
    }

    /** |W_q - a g W_f| / |W_q|, the median over channels. */
    private static double residual(WeightRows rows, Layer q, Layer f, double[] a, double[] g) {
        double[] all = new double[rows.channels()];
        int n = 0;
        for (int c = 0; c < all.length; c++) {
            double off = 0;
            double size = 0;
            for (int k = 0; k < rows.length(); k++) {
                double w = q.weights()[rows.index(c, k)];
                double d = w - a[c] * g[rows.input(c, k)] * f.weights()[rows.index(c, k)];
                off += d * d;
                size += w * w;
            }
            if (size > 0) {
                all[n++] = Math.sqrt(off / size);
            }
        }
        double[] sorted = Arrays.copyOf(all, n);
        Arrays.sort(sorted);
        return n == 0 ? 0 : sorted[n / 2];
    }

    /** How far apart factors are: the upper quartile of their logarithms' distances from the median. */
    private static double spread(double[] factors) {
        double[] logs = Arrays.stream(factors).map(Math::log).sorted().toArray();
        double middle = logs.length == 0 ? 0 : logs[logs.length / 2];
        double[] distances =
                Arrays.stream(logs).map(x -> Math.abs(x - middle)).sorted().toArray();
        return distances.length == 0 ? 0 : distances[3 * distances.length / 4];
    }
}
