package dev.rebias.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.Gate;
import dev.rebias.LayerResult;
import dev.rebias.Trial;
import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.measure.Moments;
import dev.rebias.model.OnnxModel;
import dev.rebias.samples.Npz;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import dev.rebias.verify.Accuracy;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Held-out samples: they decide which reference is kept and which corrections are given up, and corrections do not come
 * from them.
 */
final class BestReferenceTest {
    private static CorrectionOptions.Builder options() {
        return CorrectionOptions.builder().device("cpu");
    }

    private static CorrectionResult correct(ReferencePair pair, CorrectionOptions options) {
        try (Samples samples = pair.samples()) {
            return pair.correction().correct(samples, options);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"FASHION_W3A8", "FASHION_W8A8_INT32_BIAS", "OCR_W4A8"})
    void theReferenceWithTheSmallerErrorOnHeldOutSamplesIsKept(ReferencePair pair) {
        CorrectionResult best = correct(pair, options().bestReference().build());
        assertThat(best.trials()).extracting(Trial::reference).containsExactly(Reference.LAYER, Reference.NETWORK);
        Trial least = best.trials().stream()
                .min(Comparator.comparingDouble(t -> t.outcome().orElseThrow().errorAfter()))
                .orElseThrow();
        assertThat(least.kept()).isTrue();
        assertThat(best.trials().stream().filter(Trial::kept)).hasSize(1);
        assertThat(best.reference()).isEqualTo(least.reference());
        assertThat(best.outcome()).isEqualTo(least.outcome());
        assertThat(best.outcome().orElseThrow().heldOut()).isTrue();
        // It is what that reference alone finds with as many held out.
        CorrectionResult alone =
                correct(pair, options().reference(best.reference()).holdout(0.2).build());
        assertThat(alone.corrections()).hasSameSizeAs(best.corrections());
        alone.corrections()
                .forEach((layer, delta) ->
                        assertThat(best.corrections().get(layer)).isEqualTo(delta));
        int all = best.samplesUsed().correcting() + best.samplesUsed().heldOut();
        assertThat(best.samples()).isEqualTo(best.samplesUsed().correcting());
        assertThat(best.samplesUsed().heldOut()).isEqualTo((int) Math.round(0.2 * all));
    }

    @Test
    @EnabledIfSystemProperty(
            named = "rebias.assets",
            matches = ".+",
            disabledReason = "needs the whole test set: -Drebias.assets=FOLDER")
    void theBetterReferenceIsAsGoodAsTheBestOnTheTestSet() {
        ReferencePair pair = ReferencePair.FASHION_W3A8;
        CorrectionResult best = correct(pair, options().bestReference().build());
        double layer = accuracy(pair, correct(pair, options().build()).model());
        double network = accuracy(
                pair,
                correct(pair, options().reference(Reference.NETWORK).build()).model());
        double own = accuracy(pair, best.model());
        System.out.printf(
                "%s: layer %.2f %%, network %.2f %%, the better of both with 102 of 512 held out (%s) %.2f %%%n",
                pair, layer, network, best.reference(), own);
        assertThat(own).isGreaterThanOrEqualTo(Math.max(layer, network) - 0.2);
    }

    private static double accuracy(ReferencePair pair, OnnxModel model) {
        Path test = pair.testFile(Path.of(System.getProperty("rebias.assets")));
        BiasCorrection correction = pair.correction();
        try (Samples samples = Samples.open(test, pair.normalization())) {
            return 100
                    * Accuracy.top1(
                            model,
                            correction.inputNames().get(0),
                            samples.without("labels").bind(correction.inputs()),
                            Npz.read(test, "labels"));
        }
    }

    @Test
    void heldOutErrorsAreThoseOfTheSameCorrectionOnOtherSamples() {
        ReferencePair pair = ReferencePair.FASHION_W3A8;
        CorrectionResult result = correct(pair, options().holdout(0.25).build());
        assertThat(result.samplesUsed().heldOut()).isEqualTo(128);
        for (LayerResult layer : result.layers()) {
            Moments held = layer.heldOut().orElseThrow();
            assertThat(held.samples()).isEqualTo(128);
            assertThat(held.delta()).isEqualTo(layer.moments().orElseThrow().delta());
            double change = 0;
            for (int c = 0; c < held.channels(); c++) {
                double mean = held.perChannel().orElseThrow().meanError()[c];
                change += held.delta()[c] * (held.delta()[c] - 2 * mean) / held.channels();
            }
            assertThat(held.measured().mseAfter() - held.measured().mseBefore())
                    .isCloseTo(change, within(1e-6 * held.measured().mseBefore()));
        }
        // The first layer sees the samples themselves, so its held-out moments are those of a run on these alone.
        LayerResult first = result.layers().get(0);
        try (Samples samples = pair.samples()) {
            CorrectionResult others = pair.correction()
                    .correct(samples.spread(128), options().perChannel(true).build());
            assertThat(others.layers()
                            .get(0)
                            .moments()
                            .orElseThrow()
                            .perChannel()
                            .orElseThrow()
                            .meanError())
                    .isEqualTo(first.heldOut()
                            .orElseThrow()
                            .perChannel()
                            .orElseThrow()
                            .meanError());
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = Gate.class,
            names = {"LAYER", "CHANNEL"})
    void aGateLeavesWhatWouldRiseAndNothingElse(Gate gate) {
        for (Reference reference : Reference.values()) {
            for (ReferencePair pair : List.of(ReferencePair.FASHION_W8A8_INT32_BIAS, ReferencePair.FASHION_W3A8)) {
                leavesWhatWouldRise(pair, reference, gate);
            }
        }
    }

    private static void leavesWhatWouldRise(ReferencePair pair, Reference reference, Gate gate) {
        // Float biases hold corrections as they are measured.
        boolean exact = pair == ReferencePair.FASHION_W3A8;
        CorrectionResult result =
                correct(pair, options().reference(reference).gate(gate).build());
        boolean given = false;
        for (LayerResult layer : result.layers()) {
            Moments held = layer.heldOut().orElseThrow();
            double[] wanted =
                    layer.moments().orElseThrow().perChannel().orElseThrow().meanError();
            assertThat(held.measured().mseAfter())
                    .isLessThanOrEqualTo(held.measured().mseBefore() * (1 + 1e-9));
            double[] means = held.perChannel().orElseThrow().meanError();
            for (int c = 0; c < means.length; c++) {
                double delta = held.delta()[c];
                if (gate == Gate.CHANNEL) {
                    assertThat(delta * (delta - 2 * means[c])).isLessThanOrEqualTo(0);
                }
                if (layer.givenUp().contains(c)) {
                    assertThat(delta).isZero();
                    if (gate == Gate.CHANNEL && exact) {
                        assertThat(wanted[c] * (wanted[c] - 2 * means[c]))
                                .as("rise of channel %d of %s without the gate", c, layer.name())
                                .isGreaterThan(-1e-4 * wanted[c] * wanted[c]);
                    }
                }
            }
            given |= !layer.givenUp().isEmpty();
            if (layer.status() == LayerResult.Status.LEFT) {
                assertThat(layer.reason()).contains("its mean squared error on held-out samples would rise");
                assertThat(result.corrections()).doesNotContainKey(layer.name());
            }
        }
        assertThat(given || gate == Gate.LAYER).isTrue();
    }

    @Test
    void ofOneSampleNobodyKnowsWhatIsNoise() {
        ReferencePair pair = ReferencePair.FASHION_W3A8;
        try (Samples samples = pair.samples()) {
            CorrectionResult one = pair.correction()
                    .correct(samples.limit(2), options().bestReference().build());
            assertThat(one.samples()).isEqualTo(1);
            assertThat(one.noise().orElseThrow()).contains("not known from one sample");
            CorrectionResult named =
                    pair.correction().correct(samples.limit(1), options().build());
            assertThat(named.noise()).isEmpty();
            // The noise is looked at whatever else is asked for.
            CorrectionResult unheld = pair.correction()
                    .correct(
                            samples.spread(16),
                            options().bestReference().holdout(0).build());
            assertThat(unheld.sufficiency()).isPresent();
        }
    }

    @Test
    void shrunkCorrectionsAreSmallerByTheirNoise() {
        // Of the first layer, which nothing before it changes.
        ReferencePair pair = ReferencePair.FASHION_W3A8;
        try (Samples samples = pair.samples()) {
            Samples few = samples.spread(8);
            Moments plain = pair.correction()
                    .correct(few, options().perChannel(true).build())
                    .layers()
                    .get(0)
                    .moments()
                    .orElseThrow();
            Moments shrunk = pair.correction()
                    .correct(few, options().shrink(true).build())
                    .layers()
                    .get(0)
                    .moments()
                    .orElseThrow();
            int smaller = 0;
            for (int c = 0; c < plain.channels(); c++) {
                double mean = plain.perChannel().orElseThrow().meanError()[c];
                double error = plain.standardError(c).orElseThrow();
                double expected = mean * Math.max(0, 1 - error * error / (mean * mean));
                assertThat((double) shrunk.delta()[c]).isCloseTo(expected, within(1e-6));
                smaller += Math.abs(shrunk.delta()[c]) < Math.abs(plain.delta()[c]) ? 1 : 0;
            }
            assertThat(smaller).isGreaterThan(plain.channels() / 2);
            assertThat(shrunk.measured().mseAfter())
                    .isGreaterThan(plain.measured().mseAfter());
        }
    }

    @Test
    void measuringCorrectsNothing() {
        ReferencePair pair = ReferencePair.FASHION_W3A8;
        try (Samples samples = pair.samples()) {
            CorrectionResult measured =
                    pair.correction().measure(samples.spread(64), options().build());
            assertThat(measured.corrections()).isEmpty();
            assertThat(measured.model().proto()).isEqualTo(pair.quantizedModel().proto());
            assertThat(measured.layers())
                    .allMatch(l -> l.status() == LayerResult.Status.LEFT)
                    .allMatch(l -> l.moments().orElseThrow().measured().mseAfter()
                            == l.moments().orElseThrow().measured().mseBefore());
            CorrectionResult corrected = pair.correction()
                    .correct(samples.spread(64), options().perChannel(true).build());
            Moments m = measured.layers().get(0).moments().orElseThrow();
            Moments c = corrected.layers().get(0).moments().orElseThrow();
            assertThat(m.perChannel().orElseThrow().meanError())
                    .isEqualTo(c.perChannel().orElseThrow().meanError());
            assertThat(m.measured().mseBefore()).isEqualTo(c.measured().mseBefore());
            // Behind it the corrections of earlier layers are missing.
            LayerResult last = measured.layers().get(measured.layers().size() - 1);
            LayerResult lastCorrected = corrected.layers().get(measured.layers().size() - 1);
            assertThat(Arrays.equals(
                            last.moments()
                                    .orElseThrow()
                                    .perChannel()
                                    .orElseThrow()
                                    .meanError(),
                            lastCorrected
                                    .moments()
                                    .orElseThrow()
                                    .perChannel()
                                    .orElseThrow()
                                    .meanError()))
                    .isFalse();
            assertThat(measured.outcome().orElseThrow().change()).isZero();
            assertThat(measured.outcome().orElseThrow().outputs().get(0).errorBefore())
                    .isEqualTo(
                            corrected.outcome().orElseThrow().outputs().get(0).errorBefore());
        }
    }

    @Test
    void whatCannotBeHeldOutOrChosenIsRefused() {
        assertThatThrownBy(() -> {
                    try (Samples samples = ReferencePair.FASHION_W3A8.samples()) {
                        ReferencePair.FASHION_W3A8
                                .correction()
                                .correct(
                                        samples.limit(1),
                                        options().bestReference().build());
                    }
                })
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContaining("of 1 samples none can be held out");
        for (List<CorrectionOptions.Builder> impossible : List.of(
                List.of(options().holdout(1)),
                List.of(options().holdout(-0.1)),
                List.of(options().holdout(Double.NaN)),
                List.of(options().gate(Gate.LAYER).holdout(0)),
                List.of(options().gate(Gate.LAYER).errors(false)),
                List.of(options().shrink(true).errors(false)),
                List.of(options().bestReference().errors(false)),
                List.of(options().bestReference().outcome(false)))) {
            assertThatThrownBy(() -> impossible.get(0).build()).isInstanceOf(UsageException.class);
        }
        assertThat(Optional.of(options().bestReference().build().holdout())).contains(0.2);
    }
}
