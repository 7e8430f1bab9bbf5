package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

/** Division by multiplication is exact, where a quotient changes above all. */
final class DivisorTest {
    private static final long LAST = (1L << 31) - 1;

    @Test
    void everyQuotientIsExact() {
        Random random = new Random(4);
        LongStream divisors = LongStream.concat(
                LongStream.rangeClosed(1, 3000),
                LongStream.concat(
                        LongStream.rangeClosed(1, 30)
                                .flatMap(p -> LongStream.of((1L << p) - 1, 1L << p, (1L << p) + 1)),
                        LongStream.concat(LongStream.of(LAST, LAST - 1), random.longs(3000, 1, LAST))));
        divisors.filter(d -> d >= 1).forEach(d -> {
            Divisor divisor = Divisor.of(d);
            assertThat(divisor.shift()).isBetween(0, 31);
            LongStream.concat(
                            LongStream.of(0, 1, d - 1, d, d + 1, LAST - 1, LAST, LAST / d * d, LAST / d * d - 1),
                            random.longs(100, 0, LAST / d + 1)
                                    .flatMap(q -> LongStream.of(q * d - 1, q * d, q * d + d - 1)))
                    .filter(n -> n >= 0 && n <= LAST)
                    .forEach(n -> {
                        if (quotient(divisor, n) != n / d) {
                            assertThat(quotient(divisor, n)).as("%d / %d", n, d).isEqualTo(n / d);
                        }
                    });
        });
    }

    /** What cuda-kernels/rebias.cuh computes. */
    private static long quotient(Divisor divisor, long n) {
        int high = (int) ((n * Integer.toUnsignedLong(divisor.magic())) >>> 32);
        return Integer.toUnsignedLong(high + (int) n) >>> divisor.shift();
    }
}
