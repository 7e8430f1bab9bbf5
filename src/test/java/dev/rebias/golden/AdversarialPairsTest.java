package dev.rebias.golden;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.NetworkComparison;
import dev.rebias.error.UnsupportedException;
import dev.rebias.model.OnnxModel;
import dev.rebias.outcome.Outcome;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;

/** Where bias correction can do harm, the better reference is kept only where it does none on samples that it has not seen. */
final class AdversarialPairsTest {
    /** Samples that no correction comes from and nothing is decided by. */
    private static final int FRESH = 100;

    private static Samples fresh(ReferencePair base) {
        return Samples.open(base.testFile(Path.of("examples")), base.normalization())
                .without("labels")
                .spread(FRESH);
    }

    /** By what share of itself the error rises on fresh samples. */
    private static double rise(AdversarialPairs.Adverse pair, double before, OnnxModel model) {
        return error(pair, model) / before - 1;
    }

    private static double error(AdversarialPairs.Adverse pair, OnnxModel model) {
        try (Samples fresh = fresh(pair.base())) {
            return NetworkComparison.of(OnnxModel.read(pair.base().floatFile()), model, fresh)
                    .relativeError();
        }
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

    @Test
    void theBetterReferenceNeverHurtsInSilence() {
        List<AdversarialPairs.Adverse> pairs = AdversarialPairs.all();
        assertThat(pairs).hasSize(40);
        int plainHurts = 0;
        int published = 0;
        List<String> silent = new ArrayList<>();
        System.out.println("| pair | `layer` | `network` | `auto`, held out | `auto` | what `auto` does |");
        System.out.println("|---|---|---|---|---|---|");
        for (AdversarialPairs.Adverse pair : pairs) {
            double before = error(pair, pair.quantized());
            double layer = rise(
                    pair,
                    before,
                    correct(pair, CorrectionOptions.builder().anySamples(true)).model());
            double network = rise(
                    pair,
                    before,
                    correct(
                                    pair,
                                    CorrectionOptions.builder()
                                            .reference(Reference.NETWORK)
                                            .anySamples(true))
                            .model());
            plainHurts += Math.max(layer, network) > 0.01 ? 1 : 0;
            String row = "| " + pair + " | " + percent(layer) + " | " + percent(network) + " | ";
            CorrectionResult auto;
            try {
                auto = correct(pair, CorrectionOptions.builder().bestReference());
            } catch (UnsupportedException e) {
                assertThat(e).hasMessageContaining("these are not the model's samples");
                System.out.println(row + "| | refuses the samples |");
                continue;
            }
            Outcome outcome = auto.outcome().orElseThrow();
            double held = outcome.change() / outcome.errorBefore();
            double own = rise(pair, before, auto.model());
            boolean warned = auto.warnings().stream().anyMatch(w -> w.contains("input quantiser holds"));
            assertThat(outcome.heldOut()).isTrue();
            boolean refused = outcome.isWorse() || auto.noise().isPresent();
            assertThat(refused || held <= 0.01).as("%s", pair).isTrue();
            published += refused ? 0 : 1;
            assertThat(warned || !pair.shifted()).as("%s", pair).isTrue();
            if (!refused && !warned && own > 0.01) {
                silent.add(pair + ": " + percent(own));
            }
            System.out.println(row + percent(held) + " | " + percent(own) + " | "
                    + (outcome.isWorse()
                            ? "refuses to write"
                            : "writes, reference " + auto.reference().name().toLowerCase(Locale.ROOT))
                    + (warned ? ", warns of the samples" : "") + " |");
        }
        System.out.println("plain correction hurts on " + plainHurts + " of 40; auto writes " + published);
        System.out.println("silent: " + silent);
        assertThat(plainHurts).isPositive();
        assertThat(published).isGreaterThan(pairs.size() / 4);
        // A few held-out samples can be luckier than a hundred others.
        assertThat(silent).hasSizeLessThanOrEqualTo(2);
    }
}
