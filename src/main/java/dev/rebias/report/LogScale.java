package dev.rebias.report;

import dev.rebias.error.PrintableText;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A logarithmic axis of relative errors, {@value #WIDTH} units wide.
 *
 * @param low the power of ten at its left end
 * @param high the one at its right end
 */
record LogScale(int low, int high) {
    private static final double WIDTH = 400;

    /** Float32's rounding: nothing below is of interest. */
    private static final int LOWEST = -8;

    /**
     * So many of the values, the smallest, may lie beyond the left end, where they are drawn at it: else one exact
     * layer flattens all others.
     */
    private static final double CUT = 0.05;

    /** The axis that shows these values, at least one decade wide. */
    static LogScale of(double[] values) {
        double[] shown = Arrays.stream(values).filter(v -> v > 0).sorted().toArray();
        if (shown.length == 0) {
            return new LogScale(-3, 0);
        }
        double max = shown[shown.length - 1];
        double min = shown[(int) (CUT * shown.length)];
        int top = Math.max(LOWEST + 1, (int) Math.ceil(Math.log10(max)));
        // A bar of the smallest value is still seen.
        int bottom = Math.max(LOWEST, (int) Math.ceil(Math.log10(min)) - 1);
        return new LogScale(Math.min(bottom, top - 1), top);
    }

    double x(double value) {
        double position = value > 0 ? (Math.log10(value) - low) / (high - low) : 0;
        return WIDTH * Math.min(1, Math.max(0, position));
    }

    /** Where its decades lie. */
    List<Map<String, String>> decades() {
        List<Map<String, String>> decades = new ArrayList<>();
        for (int d = low; d <= high; d++) {
            decades.add(Map.of("x", HtmlReport.number("%.1f", x(Math.pow(10, d)))));
        }
        return decades;
    }

    String text() {
        return "error as share of the signal, " + PrintableText.percent(Math.pow(10, low)) + " to "
                + PrintableText.percent(Math.pow(10, high)) + ", a line for each factor of ten";
    }

    /**
     * A layer's bar: what is left, then what the correction took away or added, with a mark at what no bias can take
     * away.
     */
    Map<String, String> bar(double before, double after, double unreachable) {
        double kept = Math.min(before, after);
        Map<String, String> bar = new LinkedHashMap<>();
        bar.put("after", HtmlReport.number("%.1f", x(kept)));
        bar.put("kind", after > before ? "rise" : "taken");
        bar.put("from", HtmlReport.number("%.1f", x(kept)));
        bar.put("width", HtmlReport.number("%.1f", x(Math.max(before, after)) - x(kept)));
        bar.put("reach", HtmlReport.number("%.1f", x(unreachable)));
        return bar;
    }
}
