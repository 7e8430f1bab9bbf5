package dev.rebias;

import dev.rebias.samples.InputSurvey;
import dev.rebias.samples.InputSurvey.Range;
import dev.rebias.samples.Normalization;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.DoubleUnaryOperator;

/**
 * Whether samples are what a model's input quantiser was made for, and if not, which option is the likeliest reason.
 *
 * @param gross whether most values are outside of what the quantiser holds, or all lie within a few of its steps
 * @param sentence the figures, and the likeliest reason
 */
record SampleFit(boolean gross, String sentence) {
    /** So many values beyond the quantiser's range are no outliers. */
    private static final double BEYOND = 0.05;

    private static final double MOST_BEYOND = 0.5;

    /** A set of samples that leaves this share of the range unused at one end was not what the range was chosen for. */
    private static final double UNUSED = 0.25;

    /** Of 256 steps, these few. */
    private static final double FEW_STEPS = 0.02;

    /** Values that run over so many of the quantiser's ranges are in other units, even where most are 0. */
    private static final double FAR = 8;

    /** By how much of the range values may be shifted. */
    private static final double SHIFT = 0.15;

    /**
     * How alike the quantiser's range and that of a hypothesis must be, as the share of both together that both have.
     */
    private static final double ALIKE = 0.75;

    private static final float BYTE = 255;

    /** What could have been meant. */
    private record Hypothesis(String text, Range range) {}

    /** Looks at an input; empty where nothing is to be said. */
    static Optional<SampleFit> of(InputSurvey input, Normalization normalization) {
        if (input.quantizer().isEmpty() || input.most() <= input.least()) {
            return Optional.empty();
        }
        Range holds = input.quantizer().get();
        Range has = new Range(input.least(), input.most(), 0);
        double low = (has.least() - holds.least()) / holds.width();
        double high = (has.most() - holds.most()) / holds.width();
        boolean shifted = low * high > 0 && Math.min(Math.abs(low), Math.abs(high)) > SHIFT;
        boolean few = has.width() < FEW_STEPS * holds.width();
        boolean far = input.beyond() > BEYOND && has.width() > FAR * holds.width();
        boolean gross = input.beyond() > MOST_BEYOND || few || far;
        if (!gross && input.beyond() <= BEYOND && low <= UNUSED && high >= -UNUSED && !shifted) {
            return Optional.empty();
        }
        String share = input.beyond() > BEYOND
                ? String.format(Locale.ROOT, ": %.0f %% of the values lie beyond that", 100 * input.beyond())
                : String.format(
                        Locale.ROOT, ", of which they use %.0f %%", 100 * Math.min(1, has.width() / holds.width()));
        String cause = likeliest(has, holds, normalization)
                .map(h -> String.format(
                        Locale.ROOT,
                        "; likeliest %s, with which they would run from %.3g to %.3g",
                        h.text(),
                        h.range().least(),
                        h.range().most()))
                .orElse("; check `scale`, `mean` and `std`, and whether the samples are of the kind that the "
                        + "network was made for");
        return Optional.of(new SampleFit(
                gross,
                String.format(
                        Locale.ROOT,
                        "the samples for input '%s' run from %.3g to %.3g, mean %.3g, and the model's input "
                                + "quantiser holds %.3g to %.3g%s%s",
                        input.name(),
                        has.least(),
                        has.most(),
                        input.mean(),
                        holds.least(),
                        holds.most(),
                        share,
                        cause)));
    }

    private static Optional<Hypothesis> likeliest(Range has, Range holds, Normalization given) {
        double mean = average(given.mean());
        double std = average(given.std());
        Range stored = map(has, v -> (v * std + mean) * given.scale());
        boolean normalised = mean != 0 || std != 1;
        List<Hypothesis> all = new ArrayList<>();
        if (given.scale() == 1) {
            all.add(new Hypothesis("`scale` 255 is missing", map(stored, v -> (v / BYTE - mean) / std)));
        } else {
            all.add(new Hypothesis(
                    String.format(Locale.ROOT, "`scale` %.6g is one too many", given.scale()),
                    map(stored, v -> (v - mean) / std)));
        }
        if (normalised) {
            all.add(new Hypothesis(
                    "`mean` and `std` are too many, the samples being normalised already",
                    map(stored, v -> v / given.scale())));
            all.add(new Hypothesis("`mean` was doubled", map(stored, v -> (v / given.scale() - mean / 2) / std)));
            if (given.scale() != 1) {
                all.add(new Hypothesis(
                        "`scale`, `mean` and `std` are too many, the samples being normalised already", stored));
            } else {
                all.add(new Hypothesis("`scale` 255 and no `mean` and `std` were meant", map(stored, v -> v / BYTE)));
            }
        }
        all.add(filling(stored, holds, given.scale() == 1 && stored.most() > 2));
        return all.stream().filter(h -> likeness(h.range(), holds) >= ALIKE).findFirst();
    }

    /** The mean and std with which pixels of the whole range would fill the quantiser's. */
    private static Hypothesis filling(Range stored, Range holds, boolean bytes) {
        double whole = stored.most() > 2 ? BYTE : 1;
        double std = 1 / holds.width();
        double mean = -holds.least() * std;
        return new Hypothesis(
                String.format(
                        Locale.ROOT,
                        "%s`mean` %.3g `std` %.3g (or values per channel like these) are missing",
                        bytes ? "`scale` 255 " : "",
                        mean,
                        std),
                map(stored, v -> (v / whole - mean) / std));
    }

    private static double likeness(Range a, Range b) {
        double both = Math.min(a.most(), b.most()) - Math.max(a.least(), b.least());
        double together = Math.max(a.most(), b.most()) - Math.min(a.least(), b.least());
        return both / together;
    }

    private static Range map(Range range, DoubleUnaryOperator change) {
        double a = change.applyAsDouble(range.least());
        double b = change.applyAsDouble(range.most());
        return new Range(Math.min(a, b), Math.max(a, b), 0);
    }

    private static double average(float[] values) {
        double sum = 0;
        for (float v : values) {
            sum += v;
        }
        return sum / values.length;
    }
}
