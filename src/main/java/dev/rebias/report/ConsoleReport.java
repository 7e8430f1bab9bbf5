package dev.rebias.report;

import dev.rebias.CorrectionResult;
import dev.rebias.LayerResult;
import dev.rebias.error.PrintableText;
import dev.rebias.measure.Moments;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;

/** The report as a table of text, one line per layer. */
public final class ConsoleReport {
    private static final int NAME_WIDTH = 36;

    /** Parts of the work below this many seconds are not told of. */
    private static final double SHOWN = 0.005;

    private ConsoleReport() {}

    /** The whole report, the verdict first; lines ended by line breaks. */
    public static String write(RunReport report) {
        StringBuilder out = new StringBuilder();
        out.append(line("verdict: %s", report.verdict().sentence()));
        write(report.result(), out);
        report.findings().forEach(f -> out.append(line("%s", f.toString())));
        report.verification()
                .ifPresent(v -> out.append(line("%s: %s", v.passed() ? "verified" : "not verified", v.toString())));
        out.append(line(
                "%s; total %.2f s",
                report.phases().stream()
                        .filter(p -> p.seconds() >= SHOWN)
                        .map(p -> line("%s %.2f s", p.name(), p.seconds()).strip())
                        .collect(Collectors.joining(", ")),
                report.totalSeconds()));
        report.result().warnings().forEach(w -> out.append(line("warning: %s", w)));
        return out.toString();
    }

    private static void write(CorrectionResult result, StringBuilder out) {
        result.outcome()
                .ifPresent(o -> OutcomeText.lines(o).forEach(l -> out.append(l).append(System.lineSeparator())));
        if (result.trials().size() > 1) {
            result.trials()
                    .forEach(t -> out.append(line(
                            "  reference %-8s leaves %s of the outputs' error%s",
                            t.reference().name().toLowerCase(Locale.ROOT),
                            t.outcome().map(OutcomeText::share).orElse("-"),
                            t.kept() ? ", and is kept" : "")));
        }
        out.append(line(
                "%-" + NAME_WIDTH + "s %-13s %5s  %9s    %9s  %13s  %5s  %9s  %s",
                "layer",
                "op",
                "chan.",
                "MSE",
                "",
                "SQNR dB",
                "bias^2",
                "max|delta|",
                "status"));
        result.layers().forEach(layer -> out.append(line(layer)));
        out.append(line(
                "%d of %d layers corrected against the %s reference, %d samples%s in batches of %d, on %s (%s)",
                result.correctedLayers(),
                result.layers().size(),
                result.reference().name().toLowerCase(Locale.ROOT),
                result.samples(),
                result.samplesUsed().heldOut() > 0
                        ? " and " + result.samplesUsed().heldOut() + " held out"
                        : "",
                result.batchSize(),
                result.device().kind(),
                result.device().name()));
        weights(result, out);
        result.sufficiency().ifPresent(s -> out.append(line("samples: %s", s.sentence())));
        out.append(line(
                "at most %.1f MB of tensors at once%s; bytes to the device %d, back %d",
                result.peakDeviceBytes() / 1e6,
                result.spilledBytes() == 0
                        ? ""
                        : line(" and %.1f MB in a temporary file", result.spilledBytes() / 1e6)
                                .stripTrailing(),
                result.transfers().hostToDeviceBytes(),
                result.transfers().deviceToHostBytes()));
    }

    /** What became of the layers' weights, where these were to be chosen anew. */
    private static void weights(CorrectionResult result, StringBuilder out) {
        List<LayerResult> asked =
                result.layers().stream().filter(l -> l.weights().isPresent()).toList();
        if (asked.isEmpty()) {
            return;
        }
        List<LayerResult> chosen = asked.stream()
                .filter(l -> l.weights().orElseThrow().kept().isEmpty())
                .toList();
        out.append(line(
                "weights: chosen anew in %d of %d layers, of which %.1f %% of the weights moved on average",
                chosen.size(),
                asked.size(),
                100
                        * chosen.stream()
                                .mapToDouble(l -> l.weights().orElseThrow().moved())
                                .average()
                                .orElse(0)));
        out.append(
                line("%-" + NAME_WIDTH + "s %9s  %9s  %9s  %6s", "MSE of those", "before", "bias", "weights", "moved"));
        for (LayerResult layer : chosen) {
            LayerResult.Weights w = layer.weights().orElseThrow();
            Optional<Moments.Errors> e = layer.moments().flatMap(Moments::errors);
            out.append(line(
                    "%-" + NAME_WIDTH + "s %9s  %9s  %9s  %5.1f%%",
                    shortened(PrintableText.name(layer.name())),
                    mse(e.map(Moments.Errors::mseBefore)),
                    mse(w.mseWithBias()),
                    mse(e.map(Moments.Errors::mseAfter)),
                    100 * w.moved()));
        }
        for (LayerResult layer : asked) {
            layer.weights()
                    .orElseThrow()
                    .kept()
                    .ifPresent(reason -> out.append(
                            line("layer '%s' keeps its weights: %s", PrintableText.name(layer.name()), reason)));
        }
    }

    private static String mse(Optional<Double> value) {
        return value.isPresent() ? line("%.3g", value.get()).strip() : "-";
    }

    private static String line(LayerResult layer) {
        String name = shortened(PrintableText.name(layer.name()));
        String status = layer.status().name().toLowerCase(Locale.ROOT);
        if (layer.moments().isEmpty()) {
            return line(
                    "%-" + NAME_WIDTH + "s %-13s %5s  %s: %s",
                    name,
                    layer.op(),
                    layer.channels() == 0 ? "" : layer.channels(),
                    status,
                    layer.reason().orElse(""));
        }
        Moments m = layer.moments().get();
        if (layer.status() == LayerResult.Status.LEFT) {
            status += layer.reason().map(r -> ": " + r).orElse("");
        } else if (!layer.givenUp().isEmpty()) {
            status += " but for " + layer.givenUp().size() + " channels";
        }
        Optional<Moments.Errors> e = m.errors();
        String errors = e.isEmpty()
                ? line("%22s  %14s  %6s", "-", "-", "-")
                : line(
                        "%9.3g -> %9.3g  %5s -> %5s  %5.1f%%",
                        e.get().mseBefore(),
                        e.get().mseAfter(),
                        decibels(Decibels.sqnr(e.get().signalPower(), e.get().mseBefore())),
                        decibels(Decibels.sqnr(e.get().signalPower(), e.get().mseAfter())),
                        100 * e.get().biasShare());
        return line(
                "%-" + NAME_WIDTH + "s %-13s %5d  %s  %9.3g  %s",
                name,
                layer.op(),
                layer.channels(),
                errors.stripTrailing(),
                m.maxAbsDelta(),
                status);
    }

    private static String decibels(Optional<Double> value) {
        return value.isPresent() ? line("%.1f", value.get()).strip() : "-";
    }

    /** The end of a long name, which tells layers apart better than its beginning. */
    private static String shortened(String name) {
        return name.length() <= NAME_WIDTH ? name : "..." + name.substring(name.length() - NAME_WIDTH + 3);
    }

    private static String line(String format, Object... values) {
        return PrintableText.format(format, values).stripTrailing() + System.lineSeparator();
    }
}
