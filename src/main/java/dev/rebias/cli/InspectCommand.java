package dev.rebias.cli;

import dev.rebias.BiasCorrection;
import dev.rebias.model.LayerPair;
import dev.rebias.model.SkippedLayer;
import java.io.PrintWriter;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.function.Predicate;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code rebias inspect}: which layers would be corrected, which not, and why. Needs no samples and changes nothing. */
@Command(
        name = "inspect",
        description = "Shows which layers would be corrected, which not, and why.",
        mixinStandardHelpOptions = true,
        sortOptions = false)
final class InspectCommand implements Callable<Integer> {
    @Mixin
    private PairOptions pair;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        Predicate<String> layers = pair.layers();
        BiasCorrection correction = pair.read();
        PrintWriter out = spec.commandLine().getOut();
        correction
                .inputs()
                .forEach(input -> out.println("input " + input.name() + " " + input.type() + " " + input.shapeText()));
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
                    p.name(),
                    p.floating().name(),
                    chosen.contains(p) ? "" : "  (left out by the selection of layers)");
        }
        for (SkippedLayer s : correction.pairing().skipped()) {
            print(out, "%-13s skipped: %s: %s", s.op(), s.name(), s.reason());
        }
        int candidates = correction.pairing().pairs().size()
                + correction.pairing().skipped().size();
        print(out, "%d of %d layers would be corrected", chosen.size(), candidates);
        out.flush();
        return 0;
    }

    private static void print(PrintWriter out, String format, Object... values) {
        out.println(String.format(Locale.ROOT, format, values));
    }
}
