package dev.rebias.report;

import dev.rebias.error.PrintableText;
import dev.rebias.outcome.NetworkDistance;
import dev.rebias.outcome.Outcome;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** An outcome in words, one line for each output. */
public final class OutcomeText {
    private OutcomeText() {}

    /** The lines, the first of them with the number of samples. */
    public static List<String> lines(Outcome outcome) {
        List<String> lines = new ArrayList<>();
        if (outcome.outputs().isEmpty()) {
            lines.add("outcome: not known, no output of the two networks could be compared");
        } else {
            lines.add(String.format(
                    Locale.ROOT,
                    "outcome: the network's outputs against the float network's, %d %s",
                    outcome.samples(),
                    outcome.heldOut() ? "held-out samples" : "of the samples"));
        }
        outcome.outputs().forEach(o -> lines.add("  " + line(o)));
        outcome.notCompared().forEach(reason -> lines.add("  not compared: " + PrintableText.sentence(reason)));
        return lines;
    }

    /**
     * An output's figures: {@code logits: SQNR 9.1 -> 13.2 dB, cosine 0.941 -> 0.982, same largest value 84.4 -> 92.2
     * %}.
     */
    public static String line(Outcome.Output output) {
        return String.format(
                Locale.ROOT,
                "%s: SQNR %s -> %s dB, cosine %.4f -> %.4f%s",
                PrintableText.name(output.name()),
                decibels(output.signalPower(), output.errorBefore()),
                decibels(output.signalPower(), output.errorAfter()),
                output.cosineBefore(),
                output.cosineAfter(),
                output.largest()
                        .map(share -> String.format(
                                Locale.ROOT,
                                ", same largest value %.1f -> %.1f %%",
                                100 * share.before(),
                                100 * share.after()))
                        .orElse(""));
    }

    /** The same of one network. */
    public static String line(NetworkDistance.Output output) {
        return String.format(
                Locale.ROOT,
                "%s: SQNR %s dB, cosine %.4f%s",
                PrintableText.name(output.name()),
                decibels(output.signalPower(), output.error()),
                output.cosine(),
                output.sameLargest()
                        .map(share -> String.format(
                                Locale.ROOT, ", same largest value %.1f %% (as of scores of classes)", 100 * share))
                        .orElse(""));
    }

    /** What is left of the relative squared error of all outputs: {@code 43 %}; a dash where there was none. */
    public static String share(Outcome outcome) {
        double share = outcome.errorAfter() / outcome.errorBefore();
        return Double.isFinite(share) ? PrintableText.percent(share) : "-";
    }

    private static String decibels(double signal, double noise) {
        Optional<Double> sqnr = Decibels.sqnr(signal, noise);
        return sqnr.map(d -> String.format(Locale.ROOT, "%.1f", d)).orElse(noise == 0 ? "inf" : "-");
    }
}
