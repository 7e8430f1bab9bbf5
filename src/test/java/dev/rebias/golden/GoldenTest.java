package dev.rebias.golden;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.LayerResult;
import dev.rebias.device.Emulator;
import dev.rebias.device.TestDevices;
import dev.rebias.measure.Moments;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiPredicate;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Corrections against golden ones from an independent double-precision implementation. A correction is right when, per
 * layer, RMS(delta - golden) <= 3 x spread + 1e-3 x sqrt(MSE before), spread being how far the golden correction itself
 * moves by rounding.
 */
@Tag("cuda")
final class GoldenTest {
    private static final int[] BATCH_SIZES = {1, 7, 64, 1000};
    private static final double MSE_TOLERANCE = 1e-3;

    /**
     * How much goes through, as the system property {@code rebias.goldens} says: {@code all} is every pair by both
     * references in every batch size; {@code usual} on the CPU two batch sizes by each reference, for there they all
     * give the same bits; {@code brief} every pair but those with BatchNormalization in one batch size, two by both
     * references (one on the emulator) and the others by one. The emulator, which takes its time, has {@code brief}
     * where nothing is said, and everything else {@code usual}.
     */
    private static String extent() {
        return System.getProperty("rebias.goldens", Emulator.present() ? "brief" : "usual");
    }

    static boolean brief() {
        return extent().equals("brief");
    }

    static boolean briefOnTheEmulator() {
        return brief() && Emulator.present();
    }

    private static int[] batchSizes(String device, ReferencePair pair, Reference reference) {
        if (brief()) {
            return switch (pair) {
                case FASHION_W3A8 -> new int[] {100};
                case OCR_W4A8 -> new int[] {40};
                case FASHION_W4A4, FASHION_W3A8_NO_BIAS -> new int[] {1000};
                default -> new int[] {64};
            };
        }
        if (extent().equals("usual") && device.equals("cpu")) {
            return reference == Reference.LAYER ? new int[] {1, 64} : new int[] {7, 1000};
        }
        return BATCH_SIZES;
    }

    /** What a pair has that others have not is in its files more than in what devices do. */
    private static List<Reference> references(ReferencePair pair) {
        if (!brief()) {
            return List.of(Reference.values());
        }
        return switch (pair) {
            case FASHION_W3A8 -> List.of(Reference.values());
            case OCR_W4A8 -> briefOnTheEmulator() ? List.of(Reference.NETWORK) : List.of(Reference.values());
            case FASHION_W4A4, FASHION_W3A8_NO_BIAS -> List.of(Reference.NETWORK);
            default -> List.of(Reference.LAYER);
        };
    }

    /** That the emulated card has the CPU's bits for the pair without biases is what SameBitsOnCardTest says. */
    private static boolean goesThrough(ReferencePair pair) {
        boolean left = briefOnTheEmulator() && pair == ReferencePair.FASHION_W3A8_NO_BIAS;
        return !brief() || (!left && !pair.name().endsWith("_WITH_BN"));
    }

    static Stream<Arguments> devicesAndPairs() {
        String only = System.getProperty("rebias.goldens.pair", "");
        return cases((device, pair) ->
                only.isEmpty() ? goesThrough(pair) : pair.name().equals(only));
    }

    private static Stream<Arguments> cases(BiPredicate<String, ReferencePair> admitted) {
        return TestDevices.names().stream().flatMap(device -> Arrays.stream(ReferencePair.values())
                .filter(pair -> admitted.test(device, pair))
                .map(pair -> Arguments.of(device, pair)));
    }

    @ParameterizedTest
    @MethodSource("devicesAndPairs")
    void correctionsMeetTheGoldenCorrectionsForBothReferencesAndAllBatchSizes(String device, ReferencePair pair) {
        BiasCorrection correction = pair.correction();
        for (Reference reference : references(pair)) {
            for (int batchSize : batchSizes(device, pair, reference)) {
                CorrectionResult result;
                try (Samples samples = pair.samples()) {
                    CorrectionOptions options = CorrectionOptions.builder()
                            .device(device)
                            .reference(reference)
                            .batchSize(batchSize)
                            .build();
                    result = correction.correct(samples, options);
                }
                assertThat(result.device().emulated()).isEqualTo(Emulator.present());
                compare(pair, reference, batchSize, result);
            }
        }
    }

    /** An emulated card takes its time: there the pair with the fewest samples has to do. */
    static Stream<Arguments> withoutErrors() {
        return cases((device, pair) -> device.equals("cpu") || pair == ReferencePair.OCR_W4A8);
    }

    /**
     * Where only mean errors are measured, corrections are the same. That those by the reference layer have the same
     * bits on a card is what SameBitsOnCardTest says.
     */
    @ParameterizedTest
    @MethodSource("withoutErrors")
    void correctionsWithoutErrorsMeetThemToo(String device, ReferencePair pair) {
        BiasCorrection correction = pair.correction();
        List<Reference> references = briefOnTheEmulator() ? List.of(Reference.NETWORK) : List.of(Reference.values());
        for (Reference reference : references) {
            CorrectionOptions options = CorrectionOptions.builder()
                    .device(device)
                    .reference(reference)
                    .errors(false)
                    .build();
            try (Samples samples = pair.samples()) {
                CorrectionResult result = correction.correct(samples, options);
                compare(pair, reference, result.batchSize(), result);
                assertThat(result.layers())
                        .allMatch(l -> l.moments().orElseThrow().errors().isEmpty());
            }
        }
    }

    private static void compare(ReferencePair pair, Reference reference, int batchSize, CorrectionResult result) {
        Map<String, LayerResult> layers = new HashMap<>();
        result.layers().forEach(l -> layers.put(l.output(), l));
        double worst = 0;
        double worstMse = 0;
        double worstRelativeMse = 0;
        String worstLayer = "";
        for (String name : pair.goldenLayers(reference)) {
            ReferencePair.Golden golden = pair.golden(reference, name);
            assertThat(layers).as("layers of %s", pair).containsKey(name);
            Moments m = layers.get(name).moments().orElseThrow();
            double squared = 0;
            for (int c = 0; c < m.channels(); c++) {
                squared += Math.pow(m.delta()[c] - golden.delta()[c], 2);
            }
            double bound = 3 * golden.spread() + 1e-3 * Math.sqrt(golden.mseBefore());
            double used = Math.sqrt(squared / m.channels()) / bound;
            if (!(used <= worst)) {
                worst = used;
                worstLayer = name;
            }
            if (m.errors().isEmpty()) {
                continue;
            }
            // The MSE moves with the flips that move the correction; a small MSE after is the difference of two larger
            // numbers.
            double tolerance =
                    MSE_TOLERANCE * golden.mseBefore() + 2 * 3 * golden.spread() * Math.sqrt(golden.mseBefore());
            double before = Math.abs(m.measured().mseBefore() - golden.mseBefore()) / tolerance;
            double after = Math.abs(m.measured().mseAfter() - golden.mseAfter()) / tolerance;
            worstMse = Math.max(worstMse, Math.max(before, after));
            worstRelativeMse = Math.max(
                    worstRelativeMse,
                    Math.max(
                            Math.abs(m.measured().mseBefore() / golden.mseBefore() - 1),
                            Math.abs(m.measured().mseAfter() / golden.mseAfter() - 1)));
        }
        System.out.printf(
                "%s on %s, reference %s, batch size %d: worst correction at %.1f %% of its bound (%s), MSE at %.1f "
                        + "%% of its own, off by at most %.1e%n",
                pair,
                result.device().kind(),
                reference,
                batchSize,
                100 * worst,
                worstLayer,
                100 * worstMse,
                worstRelativeMse);
        assertThat(worst)
                .as("%s %s %d: share of the bound at %s", pair, reference, batchSize, worstLayer)
                .isLessThanOrEqualTo(1);
        assertThat(worstMse)
                .as("%s %s %d: share of the bound on the MSE", pair, reference, batchSize)
                .isLessThanOrEqualTo(1);
        if (pair.isFashion()) {
            assertThat(worstRelativeMse)
                    .as("%s %s %d: relative error of the MSE", pair, reference, batchSize)
                    .isLessThanOrEqualTo(MSE_TOLERANCE);
        }
    }
}
