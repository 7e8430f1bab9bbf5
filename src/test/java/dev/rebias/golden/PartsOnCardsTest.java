package dev.rebias.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.DeviceSession;
import dev.rebias.LayerResult;
import dev.rebias.Sharing;
import dev.rebias.device.CleanEmulator;
import dev.rebias.device.Emulator;
import dev.rebias.error.DeviceUnavailableException;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UsageException;
import dev.rebias.measure.Moments;
import dev.rebias.model.LayerPair;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** One model on several cards, each with a thread and a part of the samples, is what one card makes of it. */
@Tag("cuda")
@Tag("emulator")
@ExtendWith(CleanEmulator.class)
final class PartsOnCardsTest {
    private static final int SAMPLES = 12;

    /** What the corrections of float layers may differ by, in their layer's RMS error: sums of floats are rounded. */
    private static final double BOUND = 1e-4;

    @ParameterizedTest
    @CsvSource({
        "FASHION_W3A8, LAYER, cuda:all, 4",
        "FASHION_W8A8_INT32_BIAS, LAYER, 'cuda:2,0', 2",
        "FASHION_W3A8, NETWORK, 'cuda:0,1,3', 3",
        "FASHION_W3A8, , 'cuda:0,1', 2"
    })
    void cardsGiveWhatOneGives(ReferencePair pair, Reference reference, String devices, int parts) {
        Emulator.require().devices(4);
        CorrectionOptions.Builder builder = CorrectionOptions.builder();
        CorrectionOptions.Builder options = reference == null ? builder.bestReference() : builder.reference(reference);
        BiasCorrection correction = pair.correction();
        try (Samples samples = pair.samples().limit(SAMPLES)) {
            CorrectionResult whole =
                    correction.correct(samples, options.device("cuda:1").build());
            CorrectionResult shared =
                    correction.correct(samples, options.device(devices).build());
            assertThat(shared.reference()).isEqualTo(whole.reference());
            assertThat(shared.samplesUsed().sha256())
                    .isEqualTo(whole.samplesUsed().sha256());
            Sharing sharing = shared.sharing().orElseThrow();
            assertThat(sharing.parts()).hasSize(parts).allSatisfy(p -> {
                assertThat(p.device().emulated()).isTrue();
                assertThat(p.correcting() + p.heldOut()).isEqualTo(SAMPLES / parts);
            });
            Set<String> integers = correction.pairing().pairs().stream()
                    .map(LayerPair::quantized)
                    .filter(q -> q.integers().isPresent())
                    .map(q -> q.name())
                    .collect(Collectors.toSet());
            assertThat(integers).isNotEmpty();
            double most = 0;
            for (int i = 0; i < whole.layers().size(); i++) {
                LayerResult layer = whole.layers().get(i);
                Moments expected = layer.moments().orElseThrow();
                Moments actual = shared.layers().get(i).moments().orElseThrow();
                if (shared.reference() == Reference.LAYER && integers.contains(layer.name())) {
                    assertThat(actual.delta()).as(layer.name()).isEqualTo(expected.delta());
                }
                double rms = Math.sqrt(expected.measured().mseBefore());
                for (int c = 0; c < expected.channels(); c++) {
                    most = Math.max(most, Math.abs(actual.delta()[c] - expected.delta()[c]) / rms);
                }
                double mse = Math.abs(
                        actual.measured().mseAfter() - expected.measured().mseAfter());
                most = Math.max(most, mse / expected.measured().mseBefore());
            }
            System.out.printf(
                    "%s, %s on %d cards: %.2g of a layer's RMS error apart at most, %.2g of the bound%n",
                    pair, shared.reference(), parts, most, most / BOUND);
            assertThat(most).isLessThan(BOUND);
        }
    }

    @Test
    void aCardThatFailsEndsAllAndLeavesNothing() {
        Emulator emulator = Emulator.require();
        emulator.devices(2);
        BiasCorrection correction = ReferencePair.FASHION_W3A8.correction();
        CorrectionOptions options =
                CorrectionOptions.builder().device("cuda:all").outcome(false).build();
        try (Samples samples = ReferencePair.FASHION_W3A8.samples().limit(4)) {
            emulator.fail("cuLaunchKernel", 50);
            assertThatThrownBy(() -> correction.correct(samples, options))
                    .isInstanceOf(RebiasException.class)
                    .hasMessageContaining("cuLaunchKernel")
                    .hasMessageNotContaining("part ");
            assertThat(emulator.failed()).isEqualTo("cuLaunchKernel");
            assertThat(emulator.live()).isEmpty();
            assertThat(Thread.getAllStackTraces().keySet())
                    .noneMatch(t -> t.getName().startsWith("rebias-part"));
        }
    }

    @Test
    void cardsAreNamedOnceAndMustBeThere() {
        Emulator.require().devices(2);
        assertThatThrownBy(() -> DeviceSession.openAll("cuda:1,1"))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("twice");
        assertThatThrownBy(() -> DeviceSession.openAll("cuda:1,2"))
                .isInstanceOf(DeviceUnavailableException.class)
                .hasMessageContaining("no GPU 2");
        assertThatThrownBy(() -> DeviceSession.openAll("cuda:1,x")).isInstanceOf(UsageException.class);
    }
}
