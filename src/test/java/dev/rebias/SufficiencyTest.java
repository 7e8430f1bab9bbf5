package dev.rebias;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.rebias.measure.Moments;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** How well corrections are known follows from how many different samples there were. */
final class SufficiencyTest {
    private static final int CHANNELS = 8;
    private static final int DISTINCT = 50;

    /** What is measured of samples whose errors are 0.3, with noise of 1, each of them so many times. */
    private static Moments moments(int copies) {
        Random random = new Random(1);
        double[] means = new double[CHANNELS];
        double[] squares = new double[CHANNELS];
        for (int c = 0; c < CHANNELS; c++) {
            for (int i = 0; i < DISTINCT; i++) {
                double error = 0.3 + random.nextGaussian();
                means[c] += error / DISTINCT;
                squares[c] += error * error / DISTINCT;
            }
        }
        return new Moments(
                (long) copies * DISTINCT,
                new float[CHANNELS],
                List.of(),
                Optional.empty(),
                Optional.of(new Moments.PerChannel(means, new double[CHANNELS], squares)));
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 4, 100})
    void copiesOfSamplesTellNothingNew(int copies) {
        Sufficiency once =
                Sufficiency.of(List.of(moments(1)), DISTINCT, DISTINCT).orElseThrow();
        Sufficiency copied = Sufficiency.of(List.of(moments(copies)), copies * DISTINCT, DISTINCT)
                .orElseThrow();
        assertThat(once.enough()).isFalse();
        assertThat(copied.relativeError()).isCloseTo(once.relativeError(), within(0.03 * once.relativeError()));
        assertThat((double) copied.wanted().orElseThrow())
                .isCloseTo(
                        (double) once.wanted().orElseThrow(),
                        within(0.06 * once.wanted().orElseThrow()));
    }

    @Test
    void ofOneDifferentSampleNothingIsKnown() {
        assertThat(Sufficiency.of(List.of(moments(2)), 2 * DISTINCT, 1)).isEmpty();
        assertThat(Sufficiency.relativeError(moments(2), 1)).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"1.2345, 123 %", "0.3, 30 %", "0.012, 1.2 %"})
    void sharesArePrintedWithoutPowersOfTen(double error, String text) {
        assertThat(new Sufficiency(64, error, OptionalLong.of(100)).sentence())
                .contains("standard error is " + text + " of a correction");
    }
}
