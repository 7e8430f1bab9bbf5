package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.device.CleanEmulator;
import dev.rebias.device.Emulator;
import dev.rebias.golden.ReferencePair;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.FloatMath;
import dev.rebias.sweep.Reference;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** The float network's layers, and nothing else, are computed in TF32 where that is allowed. */
@Tag("cuda")
@Tag("emulator")
@ExtendWith(CleanEmulator.class)
final class Tf32Test {
    /** Ten bits of fraction, rounded: both factors are off by so much at most, relatively. */
    private static final double ROUNDED = Math.scalb(1.0, -11);

    private final Emulator emulator = Emulator.require();

    private static CorrectionResult correct(String device, Reference reference, FloatMath math) {
        CorrectionOptions options = CorrectionOptions.builder()
                .device(device)
                .reference(reference)
                .math(math)
                .perChannel(true)
                .build();
        try (Samples all = ReferencePair.FASHION_W3A8.samples()) {
            return ReferencePair.FASHION_W3A8.correction().correct(all.limit(8), options);
        }
    }

    @Test
    void theFloatNetworkIsRoundedAndMeanErrorsMoveByLittle() {
        emulator.forgetWork();
        CorrectionResult exact = correct("cuda", Reference.NETWORK, FloatMath.FP32);
        assertThat(products(true)).isZero();
        long all = products(false);
        emulator.forgetWork();
        CorrectionResult rounded = correct("cuda", Reference.NETWORK, FloatMath.TF32);
        assertThat(products(true)).as("of %d products of floats", all).isGreaterThan(all * 9 / 10);
        assertThat(exact.math()).isEqualTo(FloatMath.FP32);
        assertThat(rounded.math()).isEqualTo(FloatMath.TF32);
        double worst = 0;
        boolean moved = false;
        for (int i = 0; i < exact.layers().size(); i++) {
            var own = exact.layers().get(i).moments().orElseThrow();
            var other = rounded.layers().get(i).moments().orElseThrow();
            // Every layer on the way adds its own rounding.
            double bound =
                    exact.layers().size() * ROUNDED * Math.sqrt(own.measured().signalPower());
            for (int c = 0; c < own.channels(); c++) {
                double off = Math.abs(own.perChannel().orElseThrow().meanError()[c]
                        - other.perChannel().orElseThrow().meanError()[c]);
                worst = Math.max(worst, off / bound);
                moved |= off > 0;
            }
        }
        System.out.printf("in TF32 mean errors are off by at most %.0f %% of the bound%n", 100 * worst);
        assertThat(worst).isLessThan(1);
        assertThat(moved).isTrue();
    }

    private long products(boolean tf32) {
        return emulator.work().values().stream()
                .mapToLong(w -> tf32 ? w.tf32() : w.fp32())
                .sum();
    }

    @Test
    void inTheLayerReferenceNothingIsRounded() {
        emulator.forgetWork();
        CorrectionResult exact = correct("cuda", Reference.LAYER, FloatMath.FP32);
        CorrectionResult allowed = correct("cuda", Reference.LAYER, FloatMath.TF32);
        assertThat(products(true)).isZero();
        assertThat(allowed.math()).isEqualTo(FloatMath.FP32);
        requireSame(exact, allowed);
    }

    @Test
    void theCpuComputesInFloat32AndSaysSo() {
        CorrectionResult exact = correct("cpu", Reference.NETWORK, FloatMath.FP32);
        CorrectionResult allowed = correct("cpu", Reference.NETWORK, FloatMath.TF32);
        assertThat(allowed.math()).isEqualTo(FloatMath.FP32);
        requireSame(exact, allowed);
    }

    private static void requireSame(CorrectionResult one, CorrectionResult other) {
        assertThat(one.corrections()).isNotEmpty();
        assertThat(other.corrections().keySet()).isEqualTo(one.corrections().keySet());
        one.corrections()
                .forEach((layer, delta) ->
                        assertThat(other.corrections().get(layer)).as(layer).isEqualTo(delta));
    }
}
