package dev.rebias;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rebias.error.UnsupportedException;
import dev.rebias.golden.ReferencePair;
import dev.rebias.model.OnnxModel;
import dev.rebias.outcome.NetworkDistance;
import dev.rebias.outcome.Networks;
import dev.rebias.outcome.Outcome;
import dev.rebias.outcome.OutcomeMeasurement;
import dev.rebias.samples.BoundSamples;
import dev.rebias.samples.Normalization;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import dev.rebias.verify.Verification;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * On pairs of every kind, those of the examples and with {@code -Drebias.assets=FOLDER} those of its folder
 * {@code cases}: new weights are verified, and on held-out samples the outputs are no further from the float network's
 * than with biases alone, beyond noise, both of the same samples; or weights are refused where biases are not, with a
 * sentence that says why.
 */
final class AdjustedPairsTest {
    private static final double HOLDOUT = 0.25;
    private static final int MOST_COMPARED = 64;

    /** One-sided; there are some dozens of pairs, so that one among them is off by more than two standard errors. */
    private static final double STANDARD_ERRORS = 3;

    /** What rounding does to an error, as a share of it. */
    private static final double ROUNDING = 1e-3;

    /** Pairs that nothing can be done about, with what references. */
    private static final Map<String, Set<Reference>> NOT_CORRECTED = Map.of(
            "custom-quantiser", Set.of(Reference.values()),
            "dynamic-quantised", Set.of(Reference.values()),
            "models-swapped", Set.of(Reference.values()),
            "weights-equalised", Set.of(Reference.LAYER));

    @TempDir
    Path folder;

    /** Two models and samples. */
    private record Pair(
            String name, boolean bundled, Path floating, Path quantized, Path samples, Normalization normalization) {
        BiasCorrection correction() {
            return BiasCorrection.of(OnnxModel.read(floating), OnnxModel.read(quantized));
        }

        @Override
        public String toString() {
            return name;
        }
    }

    private static Stream<Arguments> pairs() throws IOException {
        List<Pair> pairs = new ArrayList<>();
        boolean all = System.getProperty("rebias.assets") != null;
        for (ReferencePair pair : ReferencePair.values()) {
            if (!all && pair.name().endsWith("WITH_BN")) {
                continue;
            }
            pairs.add(new Pair(
                    pair.name(),
                    true,
                    pair.floatFile(),
                    pair.quantizedFile(),
                    pair.calibrationFile(),
                    pair.normalization()));
        }
        Path cases = Path.of(System.getProperty("rebias.assets", "")).resolve("cases");
        if (all && Files.isDirectory(cases)) {
            try (Stream<Path> folders = Files.list(cases)) {
                for (Path path : folders.filter(f -> Files.exists(f.resolve("expect.json")))
                        .sorted()
                        .toList()) {
                    pairs.add(pair(path));
                }
            }
        }
        // One reference each, in turn; both with -Drebias.pairs=all.
        boolean both = "all".equals(System.getProperty("rebias.pairs"));
        return IntStream.range(0, pairs.size()).boxed().flatMap(i -> Stream.of(Reference.values())
                .filter(r -> both || (r == Reference.LAYER) == (i % 2 == 0))
                .map(r -> Arguments.of(pairs.get(i), r)));
    }

    private static Pair pair(Path path) throws IOException {
        JsonNode expect =
                new ObjectMapper().readTree(path.resolve("expect.json").toFile());
        List<String> arguments = new ArrayList<>();
        expect.path("args").forEach(a -> arguments.add(a.asText()));
        Normalization normalization = new Normalization(
                arguments.contains("--scale") ? Float.parseFloat(value(arguments, "--scale")) : 1,
                floats(value(arguments, "--mean"), 0),
                floats(value(arguments, "--std"), 1));
        return new Pair(
                path.getFileName().toString(),
                false,
                path.resolve("float.onnx"),
                path.resolve("quantized.onnx"),
                path.resolve(expect.path("samples").asText("samples.npz")),
                normalization);
    }

    private static String value(List<String> arguments, String option) {
        int at = arguments.indexOf(option);
        return at < 0 ? "" : arguments.get(at + 1);
    }

    private static float[] floats(String list, float otherwise) {
        if (list.isEmpty()) {
            return new float[] {otherwise};
        }
        String[] parts = list.split(",", -1);
        float[] out = new float[parts.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = Float.parseFloat(parts[i]);
        }
        return out;
    }

    @ParameterizedTest
    @MethodSource("pairs")
    void weightsAreVerifiedAndNoWorseThanBiases(Pair pair, Reference reference) throws IOException {
        CorrectionOptions options = CorrectionOptions.builder()
                .device("cpu")
                .reference(reference)
                .holdout(HOLDOUT)
                .build();
        CorrectionOptions weights =
                options.toBuilder().adjust(Adjustment.WEIGHTS).build();
        try (Samples samples = Samples.open(pair.samples(), pair.normalization())) {
            if (NOT_CORRECTED.getOrDefault(pair.name(), Set.of()).contains(reference)) {
                assertThatThrownBy(() -> pair.correction().correct(samples, options))
                        .isInstanceOf(UnsupportedException.class);
                assertThatThrownBy(() -> pair.correction().correct(samples, weights))
                        .isInstanceOf(UnsupportedException.class);
                System.out.printf("%-32s %-8s no correction of either%n", pair, reference);
                return;
            }
            BiasCorrection correction = pair.correction();
            CorrectionResult ofBiases = correction.correct(samples, options);
            if (samples.bind(correction.networkInputs().ofSweep()).shapes() > 1) {
                assertThatThrownBy(() -> correction.correct(samples, weights))
                        .isInstanceOf(UnsupportedException.class)
                        .hasMessageContaining("several sizes");
                System.out.printf("%-32s %-8s refused: samples of several sizes%n", pair, reference);
                return;
            }
            if (correction.nothingToCorrect().isPresent()) {
                assertThatThrownBy(() -> correction.correct(samples, weights))
                        .isInstanceOf(UnsupportedException.class)
                        .hasMessageContaining("in which no step shows");
                System.out.printf("%-32s %-8s refused: nothing is quantised%n", pair, reference);
                return;
            }
            CorrectionResult ofWeights = correction.correct(samples, weights);
            Path file = folder.resolve("weights.onnx");
            Files.write(file, ofWeights.model().proto().toByteArray());
            Verification verification = Verification.of(
                    correction,
                    ofWeights,
                    Optional.of(ofWeights.model()),
                    OnnxModel.read(file),
                    samples,
                    MOST_COMPARED);
            assertThat(verification.passed()).as(verification::toString).isTrue();
            Outcome outcome = compared(correction, samples, ofBiases, ofWeights);
            long moved = ofWeights.layers().stream()
                    .flatMap(l -> l.weights().stream())
                    .filter(w -> w.kept().isEmpty())
                    .count();
            System.out.printf(
                    Locale.ROOT,
                    "%-32s %-8s %.4g -> biases %.4g -> weights %.4g (change +- %.2g), %d of %d layers, verified: "
                            + "worst %.0f %%%n",
                    pair,
                    reference,
                    ofBiases.outcome().orElseThrow().errorBefore(),
                    outcome.errorBefore(),
                    outcome.errorAfter(),
                    outcome.standardError(),
                    moved,
                    ofWeights.layers().size(),
                    100 * verification.worst());
            if (pair.bundled()) {
                assertThat(moved).isPositive();
            }
            assertThat(outcome.change())
                    .isLessThanOrEqualTo(STANDARD_ERRORS * outcome.standardError() + ROUNDING * outcome.errorBefore());
        }
    }

    @Test
    void weightsOfAKerasModelAreRefused() {
        BiasCorrection correction = BiasCorrection.ofKeras(Path.of("examples/keras/w3a4.h5"));
        CorrectionOptions weights =
                CorrectionOptions.builder().adjust(Adjustment.WEIGHTS).build();
        try (Samples samples = Samples.open(Path.of("examples/keras/calibration.npz"), Normalization.NONE)) {
            assertThatThrownBy(() -> correction.correct(samples, weights))
                    .isInstanceOf(UnsupportedException.class)
                    .hasMessageContaining("adjust biases");
        }
    }

    /**
     * How far the outputs are from the float network's with biases (before), and with weights (after), on the samples
     * that neither comes from.
     */
    private static Outcome compared(
            BiasCorrection correction, Samples samples, CorrectionResult ofBiases, CorrectionResult ofWeights) {
        NetworkInputs inputs = correction.networkInputs();
        BoundSamples heldOut = samples.bind(inputs.ofSweep())
                .split(ofBiases.samplesUsed().heldOut())
                .heldOut();
        assertThat(ofWeights.samplesUsed().heldOut()).isEqualTo(heldOut.count());
        int batch = correction.fixedBatch(heldOut).orElse(1);
        int most = Math.max(batch, MOST_COMPARED / batch * batch);
        List<NetworkDistance> distances = OutcomeMeasurement.measure(
                new Networks(
                        correction.floatModel(),
                        List.of(ofBiases.model(), ofWeights.model()),
                        inputs::ofFloatFile,
                        inputs::ofQuantizedFile),
                heldOut.spread(Math.min(most, heldOut.count())),
                batch);
        return Outcome.of(distances.get(0), distances.get(1), true, 0);
    }
}
