package dev.rebias.measure;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * What a layer's errors were and how it was corrected.
 *
 * @param samples the number of samples N
 * @param delta the correction as it goes into the file, one value per output channel
 * @param kept the channels whose bias cannot hold its correction where it is stored, in order: it stays as it is, delta
 *     is 0
 * @param errors how large the errors were, unless only their mean was measured
 * @param perChannel statistics of each channel, if they were asked for
 */
public record Moments(
        long samples, float[] delta, List<Integer> kept, Optional<Errors> errors, Optional<PerChannel> perChannel) {
    public Moments {
        kept = List.copyOf(kept);
    }

    /**
     * How large a layer's errors were.
     *
     * @param mseBefore E[e^2] over samples, positions and channels
     * @param mseAfter the same with the correction in it: E[e^2] - 2 delta E[e] + delta^2, averaged over channels
     * @param squaredBias mean over channels of E[e]^2: the part of the MSE that a correction can take away
     * @param signalPower E[y_f^2]: the power of the signal that the error is compared with
     */
    public record Errors(double mseBefore, double mseAfter, double squaredBias, double signalPower) {
        /** The share of the MSE that is squared bias, 0 where there is no error. */
        public double biasShare() {
            return mseBefore == 0 ? 0 : squaredBias / mseBefore;
        }
    }

    /**
     * Statistics of single channels, one array entry each.
     *
     * @param meanError E[e]
     * @param meanReference E[y_f]
     * @param squaredSampleMeans mean over samples of (mean of e within the sample)^2
     */
    public record PerChannel(double[] meanError, double[] meanReference, double[] squaredSampleMeans) {
        @Override
        public String toString() {
            return "mean errors " + Arrays.toString(meanError) + ", mean references " + Arrays.toString(meanReference)
                    + ", mean squares of samples' means " + Arrays.toString(squaredSampleMeans);
        }
    }

    /**
     * The same errors under another correction. Where no statistics of channels are there, what is left of the errors
     * is not known, and the errors are left out if the correction is another one.
     */
    public Moments withDelta(float[] other) {
        if (Arrays.equals(other, delta)) {
            return this;
        }
        Optional<Errors> left = errors.flatMap(e -> perChannel.map(c -> {
            double mse = e.mseBefore();
            for (int i = 0; i < other.length; i++) {
                mse += (double) other[i] * (other[i] - 2 * c.meanError()[i]) / other.length;
            }
            return new Errors(e.mseBefore(), Math.max(0, mse), e.squaredBias(), e.signalPower());
        }));
        return new Moments(samples, other.clone(), kept, left, perChannel);
    }

    /** The correction alone. */
    public Moments withoutErrors() {
        return new Moments(samples, delta, kept, Optional.empty(), Optional.empty());
    }

    public int channels() {
        return delta.length;
    }

    /**
     * How large the errors were.
     *
     * @throws IllegalStateException if only their mean was measured
     */
    public Errors measured() {
        return errors.orElseThrow(() -> new IllegalStateException("of the errors only the mean was measured"));
    }

    /** What a reader wants to see; not every number. */
    @Override
    public String toString() {
        return String.format(
                Locale.ROOT,
                "%d samples, %d channels, max|delta| %.4g, kept %s, %s",
                samples,
                channels(),
                maxAbsDelta(),
                kept,
                errors.map(Errors::toString).orElse("only means measured"));
    }

    /** The largest correction, without its sign. */
    public double maxAbsDelta() {
        double max = 0;
        for (float d : delta) {
            max = Math.max(max, Math.abs(d));
        }
        return max;
    }

    /**
     * The standard error of delta[c], samples as the unit: positions inside a sample are correlated. Empty for a single
     * sample.
     *
     * @throws IllegalStateException if no statistics of channels were asked for
     */
    public OptionalDouble standardError(int channel) {
        PerChannel c = perChannel.orElseThrow(
                () -> new IllegalStateException("statistics of single channels were not asked for"));
        if (samples < 2) {
            return OptionalDouble.empty();
        }
        double mean = c.meanError()[channel];
        double variance = Math.max(0, c.squaredSampleMeans()[channel] - mean * mean);
        return OptionalDouble.of(Math.sqrt(variance / (samples - 1)));
    }
}
