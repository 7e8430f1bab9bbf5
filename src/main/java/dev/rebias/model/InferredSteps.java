package dev.rebias.model;

import java.util.Arrays;
import java.util.Optional;

/**
 * The steps of weights that were rounded and stored as floats: one step for all, or one for each output channel.
 *
 * @param steps one per output channel
 * @param multiples the weights as multiples of their steps
 */
record InferredSteps(double[] steps, double[] multiples) {
    /** More levels on one side than 8 bits have are no sign of rounding. */
    private static final int MOST = 255;

    /** By how much of itself a float that stands for a multiple may be off: a few roundings of floats. */
    private static final double OFF = 1e-5;

    /** Empty where the weights lie on no such grid. */
    static Optional<InferredSteps> of(float[] weights, WeightRows rows) {
        double common = step(weights);
        double[] steps = new double[rows.channels()];
        if (common > 0) {
            Arrays.fill(steps, common);
            return on(weights, rows, steps);
        }
        double top = 0;
        float[][] channels = new float[steps.length][rows.length()];
        for (int c = 0; c < steps.length; c++) {
            for (int k = 0; k < rows.length(); k++) {
                channels[c][k] = weights[rows.index(c, k)];
            }
            double step = step(channels[c]);
            if (step == 0) {
                return Optional.empty();
            }
            if (step > 0) {
                top = Math.max(top, Math.rint(largest(channels[c]) / step));
            }
        }
        // A channel with few levels shows a multiple of its step; its largest weight is the largest level, as in the
        // others.
        for (int c = 0; c < steps.length; c++) {
            double largest = largest(channels[c]);
            steps[c] = largest == 0 ? 1 : largest / top;
        }
        return top == 0 ? Optional.empty() : on(weights, rows, steps);
    }

    private static Optional<InferredSteps> on(float[] weights, WeightRows rows, double[] steps) {
        double[] multiples = new double[weights.length];
        for (int i = 0; i < weights.length; i++) {
            double multiple = weights[i] / steps[rows.channel(i)];
            multiples[i] = Math.rint(multiple) + 0.0;
            if (Math.abs(multiple - multiples[i]) > OFF * Math.max(1, Math.abs(multiple))) {
                return Optional.empty();
            }
        }
        return Optional.of(new InferredSteps(steps, multiples));
    }

    private static double largest(float[] values) {
        double most = 0;
        for (float v : values) {
            most = Math.max(most, Math.abs(v));
        }
        return most;
    }

    /** The largest step of which all values are multiples: 0 where there is none, below 0 where all are zero. */
    private static double step(float[] values) {
        float[] sorted = new float[values.length + 1];
        for (int i = 0; i < values.length; i++) {
            sorted[i] = Math.abs(values[i]);
        }
        Arrays.sort(sorted);
        double largest = sorted[sorted.length - 1];
        if (largest == 0) {
            return -1;
        }
        double gap = largest;
        for (int i = 1; i < sorted.length; i++) {
            double d = (double) sorted[i] - sorted[i - 1];
            if (d > OFF * largest) {
                gap = Math.min(gap, d);
            }
        }
        double levels = Math.rint(largest / gap);
        if (levels > MOST) {
            return 0;
        }
        double step = largest / levels;
        for (float v : sorted) {
            double multiple = v / step;
            if (Math.abs(multiple - Math.rint(multiple)) > OFF * Math.max(1, multiple)) {
                return 0;
            }
        }
        return step;
    }
}
