package dev.rebias.golden;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.Adjustment;
import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.model.OnnxModel;
import dev.rebias.model.ProbedModel;
import dev.rebias.runtime.WholeModel;
import dev.rebias.samples.Batches;
import dev.rebias.samples.BoundSamples;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import dev.rebias.tensor.HostTensor;
import dev.rebias.verify.Verification;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Verification raises no alarm where the written model is right. Takes a minute. */
@Tag("slow")
final class FalseAlarmsTest {
    /** One way to correct: {@code samples} of them, spread over the set, 0 for all. */
    private record Way(Reference reference, int samples, Adjustment adjust) {
        CorrectionOptions options() {
            CorrectionOptions.Builder options = CorrectionOptions.builder()
                    .reference(reference)
                    .adjust(adjust)
                    .device("cpu");
            return options.build();
        }

        @Override
        public String toString() {
            return reference.name().toLowerCase(Locale.ROOT) + ", "
                    + (samples == 0 ? "all samples" : samples + " samples")
                    + (adjust == Adjustment.WEIGHTS ? ", weights too" : "");
        }
    }

    private static final List<Way> WAYS = List.of(
            new Way(Reference.LAYER, 0, Adjustment.BIASES),
            new Way(Reference.NETWORK, 0, Adjustment.BIASES),
            new Way(Reference.LAYER, 16, Adjustment.BIASES),
            new Way(Reference.NETWORK, 40, Adjustment.BIASES),
            new Way(Reference.LAYER, 64, Adjustment.WEIGHTS));

    /** Seconds of one pass of a model as it is written over samples, read and put in batches of one. */
    private static double pass(OnnxModel model, List<String> inputs, BoundSamples samples) {
        long start = System.nanoTime();
        try (WholeModel whole = WholeModel.asWritten(model.name(), ProbedModel.withOutputs(model, List.of()));
                Batches batches = samples.batches(1)) {
            while (batches.hasNext()) {
                List<HostTensor> values = batches.next();
                Map<String, HostTensor> named = new HashMap<>();
                for (int i = 0; i < inputs.size(); i++) {
                    named.put(inputs.get(i), values.get(i));
                }
                whole.run(named);
            }
        }
        return (System.nanoTime() - start) / 1e9;
    }

    @Test
    void noneInFiftyRuns() {
        int runs = 0;
        int alarms = 0;
        double verifying = 0;
        double plain = 0;
        System.out.println("| pair | correction | layers | worst, of its bound | verify | one pass |");
        for (ReferencePair pair : ReferencePair.values()) {
            for (Way way : WAYS) {
                BiasCorrection correction = pair.correction();
                try (Samples all = pair.samples()) {
                    Samples samples = way.samples() == 0 ? all : all.spread(way.samples());
                    CorrectionResult result = correction.correct(samples, way.options());
                    OnnxModel written =
                            OnnxModel.of(result.model().name(), result.model().proto());
                    long start = System.nanoTime();
                    Verification verification = Verification.of(
                            correction,
                            result,
                            Optional.of(result.model()),
                            written,
                            samples,
                            Verification.USUAL_SAMPLES);
                    double seconds = (System.nanoTime() - start) / 1e9;
                    BoundSamples bound = samples.bind(correction.inputs());
                    double one = pass(written, correction.inputNames(), bound.spread(verification.samples()));
                    assertThat(verification.layers()).isPositive();
                    System.out.printf(
                            Locale.ROOT,
                            "| %s | %s | %d | %.2f %% | %.2f s | %.2f s |%n",
                            pair,
                            way,
                            verification.layers(),
                            100 * verification.worst(),
                            seconds,
                            one);
                    runs++;
                    alarms += verification.passed() ? 0 : 1;
                    verifying += seconds;
                    plain += one;
                }
            }
        }
        System.out.printf(
                Locale.ROOT,
                "%d false alarms in %d runs; verifying took %.1f s, one plain pass %.1f s (%.2f)%n",
                alarms,
                runs,
                verifying,
                plain,
                verifying / plain);
        assertThat(runs).isEqualTo(50);
        assertThat(alarms).isZero();
    }
}
