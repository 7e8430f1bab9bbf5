package dev.rebias.golden;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.NetworkComparison;
import dev.rebias.error.UnsupportedException;
import dev.rebias.model.OnnxModel;
import dev.rebias.outcome.NetworkDistance;
import dev.rebias.outcome.Outcome;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;

/**
 * Where bias correction can do harm, the better reference is kept only where it does none on samples that it has not
 * seen.
 */
final class AdversarialPairsTest {
    /** Samples that no correction comes from and nothing is decided by. */
    private static final int FRESH = 100;

    /**
     * Whether to print the whole table, with what plain corrections do and what becomes of those that are refused:
     * minutes.
     */
    private static final boolean TABLE = Boolean.getBoolean("rebias.test.table");

    /** By more than this share of itself an error rises where a correction does harm. */
    private static final double HARM = 0.01;

    private static Samples fresh(ReferencePair base) {
        return Samples.open(base.testFile(Path.of("examples")), base.normalization())
                .without("labels")
                .spread(FRESH);
    }

    /** By what share of itself the error is larger on fresh samples. */
    private static double rise(AdversarialPairs.Adverse pair, OnnxModel corrected) {
        try (Samples fresh = fresh(pair.base())) {
            List<NetworkDistance> distances = NetworkComparison.of(
                    OnnxModel.read(pair.base().floatFile()), List.of(pair.quantized(), corrected), fresh);
            return distances.get(1).relativeError() / distances.get(0).relativeError() - 1;
        }
    }

    /** A correction by itself, whatever it does to the outputs. */
    private static OnnxModel plain(AdversarialPairs.Adverse pair, Reference reference) {
        return correct(
                        pair,
                        CorrectionOptions.builder()
                                .reference(reference)
                                .outcome(false)
                                .errors(false)
                                .undo(false)
                                .anySamples(true))
                .model();
    }

    private static CorrectionResult correct(AdversarialPairs.Adverse pair, CorrectionOptions.Builder options) {
        BiasCorrection correction = BiasCorrection.of(OnnxModel.read(pair.base().floatFile()), pair.quantized());
        try (Samples samples = pair.samples().get()) {
            return correction.correct(samples, options.device("cpu").build());
        }
    }

    private static String percent(double share) {
        return String.format(Locale.ROOT, "%+.1f %%", 100 * share);
    }

    /** What a correction with that reference alone does. */
    private static double plainRise(AdversarialPairs.Adverse pair, Reference reference) {
        return rise(pair, plain(pair, reference));
    }

    @Test
    void plainCorrectionHurtsOnSomeOfThem() {
        AdversarialPairs.Adverse pair = AdversarialPairs.all().stream()
                .filter(p -> p.toString().equals("FASHION_W3A8, 8 samples, biases corrected before"))
                .findFirst()
                .orElseThrow();
        assertThat(plainRise(pair, Reference.LAYER)).isGreaterThan(0.1);
    }

    @Test
    void whatIsWrittenWithoutAWordDoesNoHarm() {
        List<AdversarialPairs.Adverse> pairs = AdversarialPairs.all();
        assertThat(pairs).hasSize(40);
        int published = 0;
        List<String> silent = new ArrayList<>();
        System.out.println(
                "| pair | " + (TABLE ? "`layer` | `network` | " : "") + "held out | fresh | what `auto` does |");
        for (AdversarialPairs.Adverse pair : pairs) {
            String row = "| " + pair + " | "
                    + (TABLE
                            ? percent(plainRise(pair, Reference.LAYER)) + " | "
                                    + percent(plainRise(pair, Reference.NETWORK)) + " | "
                            : "");
            CorrectionResult auto;
            try {
                auto = correct(pair, CorrectionOptions.builder().bestReference());
            } catch (UnsupportedException e) {
                assertThat(e).hasMessageContaining("these are not the model's samples");
                System.out.println(row + "| | refuses the samples |");
                continue;
            }
            Outcome outcome = auto.outcome().orElseThrow();
            assertThat(outcome.heldOut()).isTrue();
            boolean warned = auto.warnings().stream().anyMatch(w -> w.contains("input quantiser holds"));
            assertThat(warned || !pair.shifted()).as("%s", pair).isTrue();
            boolean refused = outcome.isWorse()
                    || auto.noise().isPresent()
                    || auto.weakerThanBefore().isPresent();
            published += refused ? 0 : 1;
            boolean silently = !refused && !warned;
            String fresh = "";
            if (silently || TABLE) {
                double rise = rise(pair, auto.model());
                fresh = percent(rise);
                if (silently && rise > HARM) {
                    silent.add(pair + ": " + fresh);
                }
            }
            System.out.println(row + percent(outcome.change() / outcome.errorBefore()) + " | " + fresh + " | "
                    + (refused
                            ? "refuses to write"
                            : "writes, reference " + auto.reference().name().toLowerCase(Locale.ROOT))
                    + (warned ? ", warns of the samples" : "") + " |");
        }
        System.out.println("auto writes " + published + " of " + pairs.size());
        assertThat(published).isGreaterThan(pairs.size() / 4);
        assertThat(silent).isEmpty();
    }
}
