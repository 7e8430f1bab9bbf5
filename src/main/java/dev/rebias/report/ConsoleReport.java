package dev.rebias.report;

import dev.rebias.CorrectionResult;
import dev.rebias.LayerResult;
import dev.rebias.error.PrintableText;
import dev.rebias.measure.Moments;
import dev.rebias.sweep.FloatMath;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * The report as text, its table 80 columns wide: the verdict first, then the worst layers or all, then what it took.
 */
public final class ConsoleReport {
    private static final int NAME_WIDTH = 26;

    /** So many layers are listed unless all are wanted. */
    private static final int FEW = 10;

    /** After so many layers the header comes again. */
    private static final int PAGE = 40;

    /** Parts of the work below this many seconds are not told of. */
    private static final double SHOWN = 0.005;

    private static final String ROW = "%-" + NAME_WIDTH + "s %-13s %5s  %14s  %6s %9s";

    private static final String WEIGHTS = "%-" + NAME_WIDTH + "s %9s  %9s  %9s  %6s";

    private final StringBuilder out = new StringBuilder();

    private ConsoleReport() {}

    /**
     * The whole report; lines ended by line breaks.
     *
     * @param all whether every layer is listed, in the model's order, and not only the worst ones
     */
    public static String write(RunReport report, boolean all) {
        ConsoleReport text = new ConsoleReport();
        CorrectionResult result = report.result();
        text.line("verdict: %s", report.verdict().sentence());
        result.outcome().ifPresent(o -> OutcomeText.lines(o).forEach(l -> text.line("%s", l)));
        text.trials(result);
        text.measured(result, all);
        text.left(result, all);
        text.weights(result, all);
        text.summary(report);
        result.warnings().forEach(w -> text.line("warning: %s", OptionNames.inText(w)));
        return text.out.toString();
    }

    private void trials(CorrectionResult result) {
        if (result.trials().size() > 1) {
            result.trials()
                    .forEach(t -> line(
                            "  reference %-8s leaves %s of the outputs' squared error%s",
                            t.reference().name().toLowerCase(Locale.ROOT),
                            t.outcome().map(OutcomeText::share).orElse("-"),
                            t.kept() ? ", and is kept" : ""));
        }
    }

    private void measured(CorrectionResult result, boolean all) {
        List<LayerResult> layers =
                result.layers().stream().filter(l -> l.moments().isPresent()).toList();
        boolean few = !all && layers.size() > FEW;
        List<LayerResult> shown = few ? worst(layers) : layers;
        if (few) {
            line("the %d worst of %d layers (--all lists every one):", shown.size(), layers.size());
        }
        for (int i = 0; i < shown.size(); i++) {
            if (i % PAGE == 0) {
                line(ROW, "layer", "op", "chan.", "SQNR dB", "bias^2", "max|delta|");
            }
            row(shown.get(i));
        }
        line("bias^2: the share of a layer's squared error before that a bias can take away");
    }

    /**
     * The layers whose error is the largest share of their signal, after the correction; where that was not measured,
     * the first ones.
     */
    private static List<LayerResult> worst(List<LayerResult> layers) {
        return layers.stream()
                .sorted(Comparator.comparingDouble(l -> -relativeError(l)))
                .limit(FEW)
                .toList();
    }

    private static double relativeError(LayerResult layer) {
        return layer.moments()
                .flatMap(Moments::errors)
                .map(e -> e.signalPower() > 0 ? e.mseAfter() / e.signalPower() : 0)
                .orElse(0.0);
    }

    private void row(LayerResult layer) {
        Moments m = layer.moments().orElseThrow();
        Optional<Moments.Errors> e = m.errors();
        line(
                ROW,
                shortened(PrintableText.name(layer.name())),
                layer.op(),
                m.channels(),
                e.map(x -> decibels(x.signalPower(), x.mseBefore()) + " -> " + decibels(x.signalPower(), x.mseAfter()))
                        .orElse("-"),
                e.map(x -> String.format(Locale.ROOT, "%.1f%%", 100 * x.biasShare()))
                        .orElse("-"),
                String.format(Locale.ROOT, "%.3g", m.maxAbsDelta()));
    }

    /** The layers that keep their biases, and those of which some channels do, with reasons. */
    private void left(CorrectionResult result, boolean all) {
        List<LayerResult> left =
                result.layers().stream().filter(l -> !l.isCorrected()).toList();
        if (!left.isEmpty()) {
            line("left as they were, %d layers:", left.size());
            left.stream()
                    .limit(all ? Long.MAX_VALUE : FEW)
                    .forEach(l -> line(
                            "  %s (%s): %s",
                            PrintableText.name(l.name()), l.op(), l.reason().orElse("")));
        }
        if (!all && left.size() > FEW) {
            line("  and %d more (--all lists every one)", left.size() - FEW);
        }
        result.layers().stream()
                .filter(l -> l.isCorrected() && !l.givenUp().isEmpty())
                .forEach(l -> line(
                        "  %s: %d channels left as they were",
                        PrintableText.name(l.name()), l.givenUp().size()));
    }

    /** What became of the layers' weights, where these were to be chosen anew. */
    private void weights(CorrectionResult result, boolean all) {
        List<LayerResult> asked =
                result.layers().stream().filter(l -> l.weights().isPresent()).toList();
        if (asked.isEmpty()) {
            return;
        }
        List<LayerResult> chosen = asked.stream()
                .filter(l -> l.weights().orElseThrow().kept().isEmpty())
                .toList();
        line("weights chosen anew in %d of %d layers", chosen.size(), asked.size());
        List<LayerResult> shown = !all && chosen.size() > FEW ? worst(chosen) : chosen;
        if (!shown.isEmpty()) {
            line(WEIGHTS, "MSE of those", "before", "with bias", "weights", "moved");
        }
        for (LayerResult layer : shown) {
            LayerResult.Weights w = layer.weights().orElseThrow();
            Optional<Moments.Errors> e = layer.moments().flatMap(Moments::errors);
            line(
                    WEIGHTS,
                    shortened(PrintableText.name(layer.name())),
                    mse(e.map(Moments.Errors::mseBefore)),
                    mse(w.mseWithBias()),
                    mse(e.map(Moments.Errors::mseAfter)),
                    String.format(Locale.ROOT, "%.1f%%", 100 * w.moved()));
        }
        for (LayerResult layer : asked) {
            layer.weights()
                    .orElseThrow()
                    .kept()
                    .ifPresent(reason ->
                            line("layer '%s' keeps its weights: %s", PrintableText.name(layer.name()), reason));
        }
    }

    private static String mse(Optional<Double> value) {
        return value.map(v -> String.format(Locale.ROOT, "%.3g", v)).orElse("-");
    }

    private void summary(RunReport report) {
        CorrectionResult result = report.result();
        long inserted = result.layers().stream()
                .filter(l -> l.status() == LayerResult.Status.INSERTED)
                .count();
        line(
                "%d of %d layers corrected%s, reference %s",
                result.correctedLayers(),
                result.layers().size(),
                inserted == 0
                        ? ""
                        : " (" + inserted + " had no bias and " + (inserted == 1 ? "was" : "were") + " given one)",
                result.reference().name().toLowerCase(Locale.ROOT));
        line(
                "%d samples%s in batches of %d on %s (%s)%s%s",
                result.samples(),
                result.samplesUsed().heldOut() > 0
                        ? " and " + result.samplesUsed().heldOut() + " held out"
                        : "",
                result.batchSize(),
                result.device().kind(),
                result.device().name(),
                result.device().emulated() ? ", emulated" : "",
                result.math() == FloatMath.TF32 ? ", the float network in TF32" : "");
        result.sharing()
                .ifPresent(s -> line(
                        "divided among %d devices: %s samples; the first gave the others %.1f kB in %d rounds",
                        s.parts().size(),
                        s.parts().stream()
                                .map(p -> String.valueOf(p.correcting() + p.heldOut()))
                                .collect(Collectors.joining(" + ")),
                        s.bytes() / 1e3,
                        s.rounds()));
        result.sufficiency().ifPresent(s -> line("samples: %s", s.sentence()));
        line(
                "tensors %.1f MB at most%s; to the device %d bytes, back %d",
                result.peakDeviceBytes() / 1e6,
                result.spilledBytes() == 0
                        ? ""
                        : String.format(Locale.ROOT, ", %.1f MB in a temporary file", result.spilledBytes() / 1e6),
                result.transfers().hostToDeviceBytes(),
                result.transfers().deviceToHostBytes());
        report.findings().forEach(f -> line("%s", OptionNames.inText(f.toString())));
        report.verification().ifPresent(v -> line("%s: %s", v.passed() ? "verified" : "not verified", v.toString()));
        line(
                "time %.2f s: %s",
                report.totalSeconds(),
                report.phases().stream()
                        .filter(p -> p.seconds() >= SHOWN)
                        .map(p -> String.format(Locale.ROOT, "%s %.2f", p.name(), p.seconds()))
                        .collect(Collectors.joining(", ")));
    }

    private static String decibels(double signal, double noise) {
        String text = Decibels.sqnr(signal, noise)
                .map(d -> String.format(Locale.ROOT, "%.1f", d))
                .orElse(noise == 0 ? "inf" : "-");
        return String.format(Locale.ROOT, "%5s", text);
    }

    /** Both ends of a long name: layers differ at the end, blocks at the beginning. */
    private static String shortened(String name) {
        if (name.length() <= NAME_WIDTH) {
            return name;
        }
        int tail = (NAME_WIDTH - 2) * 2 / 3;
        int head = NAME_WIDTH - 2 - tail;
        return name.substring(0, head) + ".." + name.substring(name.length() - tail);
    }

    private void line(String format, Object... values) {
        out.append(PrintableText.format(format, values).stripTrailing()).append(System.lineSeparator());
    }
}
