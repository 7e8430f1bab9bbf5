package dev.rebias.report;

import com.fasterxml.jackson.databind.JsonNode;
import dev.rebias.error.PrintableText;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;

/**
 * How the corrections of a layer's channels are spread, drawn as a box on an axis that all layers share: 0 in the
 * middle, {@value #WIDTH} units wide.
 *
 * @param limit the share of a layer's RMS output at its right end
 */
record Spread(double limit) {
    private static final double WIDTH = 400;

    /** The axis on which nine tenths of every layer's channels fit. */
    static Spread of(List<JsonNode> layers) {
        double limit = layers.stream()
                .map(Spread::shares)
                .filter(s -> s.length > 0)
                .mapToDouble(s -> Math.max(Math.abs(quantile(s, 0.05)), Math.abs(quantile(s, 0.95))))
                .filter(Double::isFinite)
                .max()
                .orElse(0);
        return new Spread(limit > 0 ? limit : 1);
    }

    String text() {
        return "-" + PrintableText.percent(limit) + " to " + PrintableText.percent(limit) + " of the outputs' RMS";
    }

    /** What the page says of a layer's corrections. */
    Map<String, Object> row(JsonNode layer) {
        Map<String, Object> row = new LinkedHashMap<>();
        double[] shares = shares(layer);
        double[] deltas = values(layer.path("delta"));
        row.put("typical", deltas.length == 0 ? "–" : HtmlReport.number("%.3g", rms(deltas)));
        double[] errors = values(layer.path("standardError"));
        row.put("standardError", errors.length == 0 ? "–" : HtmlReport.number("%.3g", rms(errors)));
        if (shares.length > 0) {
            double left = x(quantile(shares, 0.25));
            row.put(
                    "spread",
                    Map.of(
                            "low", HtmlReport.number("%.1f", x(quantile(shares, 0.05))),
                            "high", HtmlReport.number("%.1f", x(quantile(shares, 0.95))),
                            "left", HtmlReport.number("%.1f", left),
                            "width", HtmlReport.number("%.1f", x(quantile(shares, 0.75)) - left),
                            "middle", HtmlReport.number("%.1f", x(quantile(shares, 0.5)))));
        }
        row.put(
                "spreadLabel",
                shares.length == 0
                        ? "not measured"
                        : "half of the corrections lie from " + PrintableText.percent(quantile(shares, 0.25)) + " to "
                                + PrintableText.percent(quantile(shares, 0.75)) + " of the outputs' RMS");
        return row;
    }

    private double x(double share) {
        return WIDTH / 2 * (1 + Math.max(-1, Math.min(1, share / limit)));
    }

    /** Corrections as shares of the layer's RMS output, in order; none where that was not measured. */
    private static double[] shares(JsonNode layer) {
        double signal = layer.path("signalPower").asDouble();
        double[] deltas = values(layer.path("delta"));
        return signal > 0
                ? Arrays.stream(deltas).map(d -> d / Math.sqrt(signal)).sorted().toArray()
                : new double[0];
    }

    private static double[] values(JsonNode array) {
        return IntStream.range(0, array.size())
                .mapToObj(array::get)
                .flatMapToDouble(v -> v.isNumber() ? DoubleStream.of(v.asDouble()) : DoubleStream.empty())
                .toArray();
    }

    private static double rms(double[] values) {
        return Math.sqrt(Arrays.stream(values).map(v -> v * v).average().orElse(0));
    }

    /** Of values in order, with linear interpolation. */
    private static double quantile(double[] sorted, double q) {
        double at = q * (sorted.length - 1);
        int i = (int) at;
        double next = sorted[Math.min(i + 1, sorted.length - 1)];
        return sorted[i] + (at - i) * (next - sorted[i]);
    }
}
