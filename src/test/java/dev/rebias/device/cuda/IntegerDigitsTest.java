package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Whole numbers are what their 8-bit digits say, and weights what whole numbers of their channel's unit say. */
final class IntegerDigitsTest {
    private static long joined(int value, int planes) {
        int[] digits = new int[planes + 1];
        assertThat(IntegerDigits.split(value, planes, digits, 1)).isEqualTo(planes + 1);
        long all = 0;
        for (int p = planes; p > 0; p--) {
            assertThat(digits[p]).isBetween(-128, 127);
            all = 256 * all + digits[p];
        }
        return all;
    }

    @Test
    void digitsAreTheNumber() {
        Random random = new Random(3);
        int[] largest = {0, 127, 127 * 256 + 127, (127 * 256 + 127) * 256 + 127};
        for (int planes = 1; planes <= 3; planes++) {
            for (int value : new int[] {0, 1, -1, largest[planes], -largest[planes], -largest[planes] / 127 * 128}) {
                assertThat(joined(value, planes)).isEqualTo(value);
            }
            for (int i = 0; i < 1000; i++) {
                int value = random.nextInt(2 * largest[planes] + 1) - largest[planes];
                assertThat(joined(value, planes)).isEqualTo(value);
            }
        }
    }

    @Test
    void integersAreTakenAsTheyAreIfTheirDigitsSuffice() {
        double[] units = {0.5};
        Optional<IntegerDigits> one = IntegerDigits.exact(new float[] {-128, 4, 127}, units, 1);
        assertThat(one).isPresent();
        assertThat(one.get().value(0)).isEqualTo(-128);
        assertThat(one.get().sum(0)).isEqualTo(3);
        assertThat(one.get().unit(0)).isEqualTo(0.5);
        assertThat(IntegerDigits.exact(new float[] {128}, units, 1)).isEmpty();
        assertThat(IntegerDigits.exact(new float[] {-129}, units, 1)).isEmpty();
        assertThat(IntegerDigits.exact(new float[] {128}, units, 2)).isPresent();
        assertThat(IntegerDigits.exact(new float[] {-128 * 257, 127 * 257}, units, 2))
                .isPresent();
        assertThat(IntegerDigits.exact(new float[] {-128 * 257 - 1}, units, 2)).isEmpty();
        assertThat(IntegerDigits.exact(new float[] {127 * 257 + 1}, units, 2)).isEmpty();
        assertThat(IntegerDigits.exact(new float[] {0.5f}, units, 2)).isEmpty();
    }

    @Test
    void weightsAreAsNearAsTheirDigitsAllow() {
        Random random = new Random(4);
        double[] weights = random.doubles(60, -1, 1).toArray();
        weights[59] = 0;
        for (int planes = 1; planes <= 3; planes++) {
            IntegerDigits digits = IntegerDigits.nearest(weights, 3, planes);
            for (int i = 0; i < weights.length; i++) {
                double unit = digits.unit(i / 20);
                assertThat(Math.abs(digits.value(i) * unit - weights[i])).isLessThanOrEqualTo(0.501 * unit);
                assertThat(unit).isLessThan(1.01 / (1 << (8 * planes - 1)));
            }
        }
        IntegerDigits none = IntegerDigits.nearest(new double[] {0, 0, Double.NaN, 1}, 2, 3);
        assertThat(none.value(0) * none.unit(0)).isZero();
        assertThat(none.value(3) * none.unit(1)).isNaN();
    }
}
