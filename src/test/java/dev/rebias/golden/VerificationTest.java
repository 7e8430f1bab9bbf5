package dev.rebias.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.error.CancelledException;
import dev.rebias.samples.Samples;
import dev.rebias.verify.Verification;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Verifying takes as long as running the network does, and ends when the thread is interrupted. */
final class VerificationTest {
    @Test
    void anInterruptedVerificationEnds() {
        BiasCorrection correction = ReferencePair.FASHION_W3A8.correction();
        try (Samples all = ReferencePair.FASHION_W3A8.samples();
                Samples samples = all.limit(4)) {
            CorrectionResult result = correction.correct(
                    samples,
                    CorrectionOptions.builder().device("cpu").outcome(false).build());
            Thread.currentThread().interrupt();
            assertThatThrownBy(() -> Verification.of(
                            correction, result, Optional.of(result.model()), result.model(), samples, 4))
                    .isInstanceOf(CancelledException.class)
                    .hasMessageContaining("interrupted");
            assertThat(Thread.interrupted()).isTrue();
            assertThat(Verification.of(correction, result, Optional.of(result.model()), result.model(), samples, 4)
                            .passed())
                    .isTrue();
        } finally {
            // No other test is interrupted where this one fails.
            Thread.interrupted();
        }
    }
}
