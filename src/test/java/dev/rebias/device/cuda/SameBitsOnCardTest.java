package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.golden.ReferencePair;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * In the reference {@code layer} corrections of integer layers come from exact sums, whether the errors' sizes are
 * wanted or not.
 */
@Tag("cuda")
@Tag("emulator")
final class SameBitsOnCardTest {
    /**
     * Of a network whose layers lie between quantisers, with nothing between these that two devices could round in two
     * ways.
     */
    @ParameterizedTest
    @CsvSource({"FASHION_W3A8, 3", "FASHION_W3A8, 40", "FASHION_W3A8_NO_BIAS, 16"})
    void correctionsOfIntegerLayersAreTheCpusInBatchesOfAnySize(ReferencePair pair, int batchSize) {
        CorrectionResult expected = correct(pair, 40, "cpu", 7, true);
        assertThat(expected.layers()).anyMatch(l -> l.moments().orElseThrow().maxAbsDelta() > 0);
        requireSameBits(expected, correct(pair, 40, "cuda", batchSize, true));
    }

    @ParameterizedTest
    @CsvSource({"FASHION_W3A8, cpu", "FASHION_W3A8, cuda", "OCR_W4A8, cpu", "OCR_W4A8, cuda"})
    void whetherErrorsAreComputedTooChangesNoBit(ReferencePair pair, String device) {
        CorrectionResult alone = correct(pair, 12, device, 5, false);
        assertThat(alone.layers())
                .noneMatch(l -> l.moments().orElseThrow().errors().isPresent());
        requireSameBits(correct(pair, 12, device, 5, true), alone);
    }

    private static void requireSameBits(CorrectionResult expected, CorrectionResult actual) {
        for (int i = 0; i < expected.layers().size(); i++) {
            assertThat(actual.layers().get(i).moments().orElseThrow().delta())
                    .as("layer %d", i)
                    .isEqualTo(expected.layers().get(i).moments().orElseThrow().delta());
        }
    }

    private static CorrectionResult correct(
            ReferencePair pair, int samples, String device, int batchSize, boolean errors) {
        CorrectionOptions options = CorrectionOptions.builder()
                .device(device)
                .reference(Reference.LAYER)
                .batchSize(batchSize)
                .errors(errors)
                .build();
        try (Samples all = pair.samples()) {
            return pair.correction().correct(all.limit(samples), options);
        }
    }
}
