package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.device.CleanEmulator;
import dev.rebias.device.Emulator;
import dev.rebias.error.OutOfDeviceMemoryException;
import dev.rebias.golden.ReferencePair;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Footprint;
import dev.rebias.sweep.Reference;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Corrections on a card that has little memory. */
@Tag("cuda")
@Tag("emulator")
@ExtendWith(CleanEmulator.class)
final class LittleMemoryTest {
    /** The pool's share of the memory, as the context takes it. */
    private static final double POOL = 0.85;

    private final Emulator emulator = Emulator.require();

    private static CorrectionOptions options(Reference reference) {
        return CorrectionOptions.builder().device("cuda").reference(reference).build();
    }

    private static CorrectionResult correct(ReferencePair pair, int samples, CorrectionOptions options) {
        try (Samples all = pair.samples()) {
            return pair.correction().correct(all.limit(samples), options);
        }
    }

    private static Footprint footprint(ReferencePair pair, int samples, CorrectionOptions options) {
        try (Samples all = pair.samples()) {
            return pair.correction().footprint(all, options, samples);
        }
    }

    private static List<float[]> deltas(CorrectionResult result) {
        return result.layers().stream()
                .map(l -> l.moments().orElseThrow().delta())
                .toList();
    }

    @ParameterizedTest
    @CsvSource({"FASHION_W3A8, LAYER, 64", "FASHION_W3A8, NETWORK, 64", "OCR_W4A8, LAYER, 32"})
    void whatWaitsGoesToTheFileWhereThePoolIsTooSmallForAll(ReferencePair pair, Reference reference, int samples) {
        CorrectionOptions options = options(reference).toBuilder().batchSize(2).build();
        CorrectionResult roomy = correct(pair, samples, options);
        assertThat(roomy.spilledBytes()).isZero();
        long peak = footprint(pair, samples, options).peak(samples);
        emulator.memory((long) (0.8 * peak / POOL));
        CorrectionResult narrow = correct(pair, samples, options);
        System.out.printf(
                "%s, %s: %d bytes at once with room, %d in a pool of %d, %d in the file%n",
                pair,
                reference,
                roomy.peakDeviceBytes(),
                narrow.peakDeviceBytes(),
                (long) (0.8 * peak),
                narrow.spilledBytes());
        assertThat(narrow.spilledBytes()).isPositive();
        assertThat(deltas(narrow)).containsExactlyElementsOf(deltas(roomy));
    }

    @Test
    void batchesHave128SamplesWhereNobodySaysOtherwise() {
        CorrectionResult result = correct(ReferencePair.FASHION_W3A8, 128, options(Reference.LAYER));
        assertThat(result.batchSize()).isEqualTo(128);
        assertThat(result.warnings()).noneMatch(w -> w.contains("batch"));
    }

    @Test
    void batchesAreSmallerWhereMemoryAsksForItAndAWarningSaysSo() {
        CorrectionOptions options = options(Reference.LAYER);
        Footprint footprint = footprint(
                ReferencePair.FASHION_W3A8,
                128,
                options.toBuilder().batchSize(32).build());
        long working = footprint.segments().stream()
                .mapToLong(s -> s.shared() + s.working())
                .max()
                .orElseThrow();
        // Room for 32 samples that are worked on, and not for 64.
        emulator.memory((long) (1.9 * working / POOL));
        CorrectionResult result = correct(ReferencePair.FASHION_W3A8, 128, options);
        int size = result.batchSize();
        assertThat(size).isIn(32, 16);
        assertThat(result.warnings())
                .anySatisfy(w ->
                        assertThat(w).contains(size + " samples instead of 128").contains("`batchSize` " + size));
        assertThat(deltas(result))
                .containsExactlyElementsOf(deltas(correct(
                        ReferencePair.FASHION_W3A8,
                        128,
                        options.toBuilder().batchSize(size).build())));
        assertThatThrownBy(() -> correct(
                        ReferencePair.FASHION_W3A8,
                        128,
                        options.toBuilder().batchSize(128).build()))
                .as("a batch size that was asked for")
                .isInstanceOf(OutOfDeviceMemoryException.class)
                .hasMessageContaining("`batchSize`")
                .hasMessageContaining("`memoryLimit`");
    }
}
