package dev.rebias;

import dev.rebias.measure.Moments;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;

/**
 * Whether the samples were enough: how well the corrections are known.
 *
 * @param samples how many samples they come from
 * @param relativeError the typical standard error of a correction over the correction itself: the median over the layers of the ratio of both RMS over channels; infinite where it is noise alone
 * @param wanted how many samples would bring it to 5 %; empty where it is noise alone
 */
public record Sufficiency(int samples, double relativeError, OptionalLong wanted) {
    /** What counts as well known. */
    public static final double TARGET = 0.05;

    /** From here on corrections are noise rather than error. */
    private static final double NOISE = 0.5;

    /** Whether the typical correction is noise rather than error. */
    public boolean isNoise() {
        return relativeError > NOISE;
    }

    /** How well the corrections are known, for people. */
    public String sentence() {
        if (wanted.isEmpty()) {
            return "the typical correction is no larger than its standard error: " + samples
                    + " samples are not enough, or there is nothing left to correct";
        }
        return String.format(
                Locale.ROOT,
                "the typical standard error is %.2g %% of a correction; %s",
                100 * relativeError,
                enough()
                        ? "the samples were enough"
                        : String.format(
                                Locale.ROOT,
                                "about %d samples would bring it to %.0f %%",
                                wanted.getAsLong(),
                                100 * TARGET));
    }

    /** Whether the corrections are well known. */
    public boolean enough() {
        return relativeError <= TARGET;
    }

    /**
     * Looks at the corrections of a sweep.
     *
     * @return empty where standard errors were not asked for, or a single sample has none
     */
    static Optional<Sufficiency> of(List<Moments> layers, int samples) {
        double[] ratios = layers.stream()
                .map(Sufficiency::relativeError)
                .filter(OptionalDouble::isPresent)
                .mapToDouble(OptionalDouble::getAsDouble)
                .sorted()
                .toArray();
        if (ratios.length == 0) {
            return Optional.empty();
        }
        double typical = ratios[ratios.length / 2];
        OptionalLong wanted = Double.isInfinite(typical)
                ? OptionalLong.empty()
                : OptionalLong.of((long) Math.ceil(samples * (typical / TARGET) * (typical / TARGET)));
        return Optional.of(new Sufficiency(samples, typical, wanted));
    }

    /**
     * The standard errors of a layer's corrections over the corrections, both as RMS over channels. What is measured is the correction and its noise: the noise's part is taken off. Empty where standard errors are not
     * known, or there is nothing to correct.
     */
    public static OptionalDouble relativeError(Moments layer) {
        if (layer.perChannel().isEmpty() || layer.samples() < 2) {
            return OptionalDouble.empty();
        }
        double noise = 0;
        double measured = 0;
        for (int c = 0; c < layer.channels(); c++) {
            double mean = layer.perChannel().get().meanError()[c];
            double error = layer.standardError(c).orElseThrow();
            measured += mean * mean;
            noise += error * error;
        }
        if (measured == 0) {
            return OptionalDouble.empty();
        }
        return OptionalDouble.of(measured > noise ? Math.sqrt(noise / (measured - noise)) : Double.POSITIVE_INFINITY);
    }
}
