package dev.rebias.cli;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.ModelPair;
import dev.rebias.Provenance;
import dev.rebias.device.Devices;
import dev.rebias.error.PrintableText;
import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.keras.KerasModel;
import dev.rebias.model.LayerPair;
import dev.rebias.model.SkippedLayer;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Footprint;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * {@code rebias inspect}: which layers would be corrected, which not, and why; in which steps, and with how much
 * memory. Changes nothing.
 */
@Command(
        name = "inspect",
        description = "Shows which layers would be corrected, which not, and why.",
        mixinStandardHelpOptions = true,
        sortOptions = false)
final class InspectCommand implements Callable<Integer> {
    private static final String READING = "reading models";

    @Mixin
    private PairOptions pair;

    @Option(
            names = "--plan",
            paramLabel = "N",
            description = "Also show how a correction with N samples would go: segments, barriers, and the memory it "
                    + "would take, found by taking one batch through.")
    private Optional<Long> plan = Optional.empty();

    @Option(
            names = "--samples",
            paramLabel = "S",
            description = "Samples, as for 'correct', of which --plan takes the first batch; needed where the model "
                    + "leaves the shape of its input open.")
    private Optional<Path> samplesPath = Optional.empty();

    @Mixin
    private SweepOptions sweepOptions;

    @Mixin
    private SampleOptions sampleOptions;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        if (plan.isEmpty() && samplesPath.isPresent()) {
            throw new UsageException("--samples are for --plan N: give both, or neither");
        }
        if (plan.isPresent() && plan.get() < 1) {
            throw new UsageException("a plan for " + plan.get() + " samples is not possible: it must be 1 or more");
        }
        Predicate<String> layers = pair.layers();
        ModelPair models = Progress.during(READING, false, () -> pair.read(true));
        BiasCorrection correction = Progress.during(READING, false, () -> BiasCorrection.of(models));
        PrintWriter out = spec.commandLine().getOut();
        before(models)
                .ifPresent(p -> print(
                        out,
                        "corrected before: %s%s",
                        p,
                        models.undoObstacle().isEmpty() ? "; 'rebias undo' brings the original back" : ""));
        correction
                .inputs()
                .forEach(input -> print(
                        out, "input %s %s %s", PrintableText.name(input.name()), input.type(), input.shapeText()));
        List<LayerPair> chosen = correction.pairing().pairs().stream()
                .filter(p -> layers.test(p.name()))
                .toList();
        for (LayerPair p : correction.pairing().pairs()) {
            print(
                    out,
                    "%-13s %5d channels  bias %-5s  %s  <-  %s%s",
                    p.quantized().op().type(),
                    p.quantized().channels(),
                    correction.biasStorage(p),
                    PrintableText.name(p.name()),
                    PrintableText.name(p.floating().name()),
                    chosen.contains(p) ? "" : "  (left out by the selection of layers)");
        }
        for (SkippedLayer s : correction.pairing().skipped()) {
            print(out, "%-13s skipped: %s: %s", PrintableText.name(s.op()), PrintableText.name(s.name()), s.reason());
        }
        int candidates = correction.pairing().pairs().size()
                + correction.pairing().skipped().size();
        print(out, "%d of %d layers would be corrected", chosen.size(), candidates);
        plan.ifPresent(samples -> plan(out, correction, samples));
        out.flush();
        return 0;
    }

    /** How the quantised model was corrected before, or that nobody can tell. */
    private static Optional<String> before(ModelPair models) {
        try {
            return models.provenance().map(Provenance::toString).or(() -> models.keras()
                    .flatMap(KerasModel::correctedBefore));
        } catch (UnsupportedException e) {
            return Optional.of(e.getMessage());
        }
    }

    private void plan(PrintWriter out, BiasCorrection correction, long samples) {
        CorrectionOptions options = sweepOptions.options(pair.layers());
        int devices = Devices.names(options.device()).size();
        long each = (samples + devices - 1) / devices;
        Footprint footprint = Progress.during("planning", false, () -> footprint(correction, options, each));
        print(
                out,
                "plan for %d samples%s, reference %s, in batches of %d",
                samples,
                devices == 1 ? "" : " (" + each + " on each of " + devices + " devices)",
                options.reference().map(r -> r.name().toLowerCase(Locale.ROOT)).orElse("auto"),
                footprint.batchSize());
        int number = 0;
        for (Footprint.Segment s : footprint.segments()) {
            print(
                    out,
                    "segment %d: %d steps, at most %.1f MB; then a barrier for %s, where %.1f MB wait",
                    ++number,
                    s.steps(),
                    footprint.peak(s, each) / 1e6,
                    s.layers().stream().map(PrintableText::name).collect(Collectors.joining(", ")),
                    footprint.frontier(s, each) / 1e6);
        }
        print(
                out,
                "predicted: at most %.1f MB of tensors at once%s",
                footprint.peak(each) / 1e6,
                devices == 1 ? "" : " on each device");
    }

    private Footprint footprint(BiasCorrection correction, CorrectionOptions options, long samples) {
        if (samplesPath.isPresent()) {
            try (Samples all = sampleOptions.open(samplesPath.get())) {
                return correction.footprint(all, options, samples);
            }
        }
        return correction.footprint(options, samples);
    }

    private static void print(PrintWriter out, String format, Object... values) {
        out.println(PrintableText.format(format, values));
    }
}
