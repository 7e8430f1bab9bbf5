package dev.rebias.device;

import java.util.OptionalDouble;

/**
 * A layer's error statistics, one array entry per output channel.
 *
 * @param samples the number of samples N
 * @param count the number of values per channel, over samples and positions
 * @param error sum of e
 * @param squaredError sum of e^2
 * @param squaredSampleMeans sum over samples of (mean of e within the sample)^2
 * @param reference sum of y_f
 * @param squaredReference sum of y_f^2
 * @param delta the correction as it goes into the file
 */
public record Moments(
        long samples,
        long count,
        double[] error,
        double[] squaredError,
        double[] squaredSampleMeans,
        double[] reference,
        double[] squaredReference,
        float[] delta) {

    public int channels() {
        return delta.length;
    }

    /** E[e^2] over everything: the layer's MSE before the correction. */
    public double mseBefore() {
        return sum(squaredError) / count / channels();
    }

    /** The MSE with delta added: E[e^2] - 2 delta E[e] + delta^2, averaged over channels (DESIGN.md section 3). */
    public double mseAfter() {
        double total = 0;
        for (int c = 0; c < channels(); c++) {
            // Written as variance + (mean - delta)^2: the same in exact arithmetic, and never negative in this one.
            double mean = error[c] / count;
            double variance = Math.max(0, squaredError[c] / count - mean * mean);
            total += variance + (mean - delta[c]) * (mean - delta[c]);
        }
        return total / channels();
    }

    /** The share of the MSE that is squared bias: mean over channels of E[e]^2, over the MSE; what a correction can take away at most. */
    public double biasShare() {
        double squaredBias = 0;
        for (double e : error) {
            squaredBias += (e / count) * (e / count);
        }
        double mse = mseBefore();
        return mse == 0 ? 0 : squaredBias / channels() / mse;
    }

    /** E[y_f^2]: the power of the signal that the error is compared with. */
    public double signalPower() {
        return sum(squaredReference) / count / channels();
    }

    /** The largest correction, without its sign. */
    public double maxAbsDelta() {
        double max = 0;
        for (float d : delta) {
            max = Math.max(max, Math.abs(d));
        }
        return max;
    }

    /** The standard error of delta[c], samples as the unit: positions inside a sample are correlated. Empty for a single sample. */
    public OptionalDouble standardError(int channel) {
        if (samples < 2) {
            return OptionalDouble.empty();
        }
        double mean = error[channel] / count;
        double variance = Math.max(0, squaredSampleMeans[channel] / samples - mean * mean);
        return OptionalDouble.of(Math.sqrt(variance / (samples - 1)));
    }

    private static double sum(double[] values) {
        double total = 0;
        for (double v : values) {
            total += v;
        }
        return total;
    }
}
