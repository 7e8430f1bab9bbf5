package dev.rebias;

import dev.rebias.error.PrintableText;
import dev.rebias.measure.Moments;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;

/**
 * Whether the samples were enough: how well the corrections are known. A sample that is there several times counts
 * once.
 *
 * @param samples how many samples they come from
 * @param relativeError the typical standard error of a correction over the correction itself: the median over the
 *     layers of the ratio of both RMS over channels; infinite where it is noise alone
 * @param wanted how many different samples would bring it to 5 %; empty where it is noise alone
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
        return "the typical standard error is " + PrintableText.percent(relativeError) + " of a correction; "
                + (enough()
                        ? "the samples were enough"
                        : "about " + wanted.getAsLong() + " samples would bring it to " + Math.round(100 * TARGET)
                                + " %");
    }

    /** Whether the corrections are well known. */
    public boolean enough() {
        return relativeError <= TARGET;
    }

    /**
     * Looks at the corrections of a sweep.
     *
     * @param distinct how many different ones are among the samples
     * @return empty where standard errors were not asked for or are not known, as of a layer whose weights are chosen
     *     anew, or a single sample has none
     */
    static Optional<Sufficiency> of(List<Moments> layers, int samples, int distinct) {
        double[] ratios = layers.stream()
                .map(layer -> relativeError(layer, distinct))
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
                : OptionalLong.of((long) Math.ceil(distinct * (typical / TARGET) * (typical / TARGET)));
        return Optional.of(new Sufficiency(samples, typical, wanted));
    }

    /**
     * The standard errors of a layer's corrections over the corrections, both as RMS over channels. What is measured is
     * the correction and its noise: the noise's part is taken off. Empty where standard errors are not known, or there
     * is nothing to correct.
     *
     * @param distinct how many different ones are among the samples: copies tell nothing new, so a mean over n of them
     *     varies as one over so many
     */
    public static OptionalDouble relativeError(Moments layer, int distinct) {
        if (layer.perChannel().isEmpty() || distinct < 2) {
            return OptionalDouble.empty();
        }
        double copies = (double) layer.samples() / distinct;
        double noise = 0;
        double measured = 0;
        for (int c = 0; c < layer.channels(); c++) {
            double mean = layer.perChannel().get().meanError()[c];
            double error = layer.standardError(c).orElseThrow();
            measured += mean * mean;
            noise += copies * error * error;
        }
        if (measured == 0) {
            return OptionalDouble.empty();
        }
        return OptionalDouble.of(measured > noise ? Math.sqrt(noise / (measured - noise)) : Double.POSITIVE_INFINITY);
    }
}
