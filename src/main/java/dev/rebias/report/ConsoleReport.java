package dev.rebias.report;

import dev.rebias.CorrectionResult;
import dev.rebias.LayerResult;
import dev.rebias.error.PrintableText;
import dev.rebias.measure.Moments;
import java.util.Locale;
import java.util.Optional;

/** The report as a table of text, one line per layer. */
public final class ConsoleReport {
    private static final int NAME_WIDTH = 36;

    private ConsoleReport() {}

    /** The whole report, lines ended by line breaks. */
    public static String write(CorrectionResult result, Timings timings) {
        StringBuilder out = new StringBuilder();
        result.outcome()
                .ifPresent(o -> OutcomeText.lines(o).forEach(l -> out.append(l).append(System.lineSeparator())));
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
                "%d of %d layers corrected against the %s reference, %d samples in batches of %d, on %s (%s)",
                result.correctedLayers(),
                result.layers().size(),
                result.reference().name().toLowerCase(Locale.ROOT),
                result.samples(),
                result.batchSize(),
                result.device().kind(),
                result.device().name()));
        out.append(line(
                "load %.2f s, sweep %.2f s, write %.2f s; at most %.1f MB of tensors at once%s; bytes to the device %d, back %d",
                timings.loadSeconds(),
                timings.sweepSeconds(),
                timings.writeSeconds(),
                result.peakDeviceBytes() / 1e6,
                result.spilledBytes() == 0
                        ? ""
                        : line(" and %.1f MB in a temporary file", result.spilledBytes() / 1e6)
                                .stripTrailing(),
                result.transfers().hostToDeviceBytes(),
                result.transfers().deviceToHostBytes()));
        result.warnings().forEach(w -> out.append(line("warning: %s", w)));
        return out.toString();
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
