package dev.rebias.device;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Exact sums hold every addend whole, so neither order nor division changes a bit of what is read. */
final class ExactSumsTest {
    private static double[] values(Random random, int n, int exponents) {
        double[] values = new double[n];
        for (int i = 0; i < n; i++) {
            values[i] = Math.scalb(random.nextDouble() - 0.5, random.nextInt(2 * exponents + 1) - exponents);
        }
        return values;
    }

    private static double sum(double... values) {
        ExactSums sums = new ExactSums(3);
        for (double v : values) {
            sums.add(1, v);
        }
        assertThat(sums.get(0)).isZero();
        assertThat(sums.get(2)).isZero();
        return sums.get(1);
    }

    /** BigDecimal is exact; what is read is its nearest double or a neighbour of that. */
    @ParameterizedTest
    @ValueSource(ints = {0, 5, 40, 300, 1000})
    void sumsAreThoseOfExactArithmetic(int exponents) {
        Random random = new Random(exponents);
        for (int turn = 0; turn < 50; turn++) {
            double[] values = values(random, 1 + random.nextInt(300), exponents);
            BigDecimal exact = Arrays.stream(values).mapToObj(BigDecimal::new).reduce(BigDecimal.ZERO, BigDecimal::add);
            double actual = sum(values);
            assertThat(Math.abs(actual - exact.doubleValue())).isLessThanOrEqualTo(Math.ulp(exact.doubleValue()));
        }
    }

    @Test
    void neitherOrderNorDivisionChangesABit() {
        Random random = new Random(7);
        List<Double> values = new ArrayList<>();
        for (double v : values(random, 500, 60)) {
            values.add(v);
            values.add(-v * random.nextInt(2));
        }
        double expected = sum(values.stream().mapToDouble(v -> v).toArray());
        for (int turn = 0; turn < 20; turn++) {
            Collections.shuffle(values, random);
            int cut = random.nextInt(values.size());
            ExactSums first = new ExactSums(1);
            ExactSums second = new ExactSums(1);
            for (int i = 0; i < values.size(); i++) {
                (i < cut ? first : second).add(0, values.get(i));
            }
            first.add(second);
            assertThat(first.get(0)).isEqualTo(expected);
        }
    }

    /**
     * Values so far apart that no two doubles hold them, one after the other and so often that digits grow beyond 32
     * bits before they are read.
     */
    @ParameterizedTest
    @ValueSource(ints = {1, -1})
    void sumsOfManyEqualValuesAreThoseOfTheirMultiples(int sign) {
        Random random = new Random(3);
        for (int turn = 0; turn < 40; turn++) {
            double large = sign * Math.scalb(1 + random.nextDouble(), random.nextInt(40));
            double small = Math.scalb(random.nextDouble() - 0.5, -150);
            double medium = Math.scalb(sign * random.nextDouble(), -20);
            ExactSums sums = new ExactSums(1);
            sums.add(0, medium);
            sums.add(0, small);
            for (int i = 0; i < 1 << 13; i++) {
                sums.add(0, large);
                sums.add(0, small);
            }
            double expected = sum(Math.scalb(large, 13), Math.scalb(small, 13), small, medium);
            assertThat(sums.get(0)).isEqualTo(expected);
            assertThat(sums.get(0)).as("read again").isEqualTo(expected);
        }
    }

    /**
     * Whatever the sums have been through: read in between, merged, or with addends of which each is lost in the one
     * before.
     */
    @ParameterizedTest
    @ValueSource(ints = {0, 20, 60, 200})
    void readingBetweenAdditionsChangesNoBit(int exponents) {
        Random random = new Random(exponents);
        for (int turn = 0; turn < 20; turn++) {
            double[] values = values(random, 200, exponents);
            ExactSums read = new ExactSums(1);
            ExactSums merged = new ExactSums(1);
            for (double v : values) {
                read.add(0, v);
                read.get(0);
                ExactSums one = new ExactSums(1);
                one.add(0, v);
                merged.add(one);
            }
            assertThat(read.get(0)).isEqualTo(sum(values));
            assertThat(merged.get(0)).isEqualTo(sum(values));
        }
    }

    @Test
    void wholeNumbersAreExactAndExtremesAreKept() {
        assertThat(sum(1e15, 1, -1e15)).isEqualTo(1);
        assertThat(sum(Double.MAX_VALUE, -Double.MAX_VALUE, Double.MIN_VALUE)).isEqualTo(Double.MIN_VALUE);
        assertThat(sum(Double.MIN_VALUE, Double.MIN_VALUE)).isEqualTo(2 * Double.MIN_VALUE);
        assertThat(sum(Double.MAX_VALUE, Double.MAX_VALUE, -Double.MAX_VALUE)).isEqualTo(Double.MAX_VALUE);
        assertThat(sum(-0.0, 0.0)).isZero();
        assertThat(sum(-3, 1, -2.5)).isEqualTo(-4.5);
    }

    @Test
    void whatIsNotFiniteStaysSo() {
        assertThat(sum(1, Double.NaN, 2)).isNaN();
        assertThat(sum(1, Double.POSITIVE_INFINITY)).isEqualTo(Double.POSITIVE_INFINITY);
        assertThat(sum(Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY)).isNaN();
    }

    @Test
    void everySumHasDigitsOfItsOwn() {
        ExactSums sums = new ExactSums(4);
        sums.add(0, new double[] {1, 2, 3});
        sums.add(3, 1e300);
        sums.add(0, 1e-300);
        assertThat(sums.get(0, 4)).containsExactly(1, 2, 3, 1e300);
    }

    /**
     * Arrays of more than are added at a time, with addends that two doubles can take beside some that they cannot: bit
     * for bit what one addition after the other gives. Large ones are taken away again, so that what small ones left
     * shows.
     */
    @ParameterizedTest
    @ValueSource(ints = {0, 20, 60})
    void arraysAddUpAsTheirValuesDo(int exponents) {
        Random random = new Random(exponents);
        int first = 3;
        int n = 600;
        ExactSums together = new ExactSums(first + n + 2);
        ExactSums alone = new ExactSums(first + n + 2);
        List<double[]> large = new ArrayList<>();
        for (int turn = 0; turn < 30; turn++) {
            double[] small = values(random, n, exponents);
            float[] floats = new float[n];
            double[] negative = new double[n];
            double[] added = new double[n];
            for (int i = 0; i < n; i++) {
                floats[i] = (float) small[i];
                added[i] = Math.scalb(small[i], 2 * exponents);
                negative[i] = -added[i];
            }
            large.add(negative);
            for (double[] values : List.of(added, small)) {
                together.add(first, values);
                add(alone, first, values);
            }
            together.add(first, floats);
            for (int i = 0; i < n; i++) {
                alone.add(first + i, (double) floats[i]);
            }
        }
        for (double[] negative : large) {
            together.add(first, negative);
            add(alone, first, negative);
        }
        for (int i = 0; i < together.size(); i++) {
            assertThat(together.get(i)).as("sum %d", i).isEqualTo(alone.get(i));
        }
        assertThat(together.get(0)).isZero();
        assertThat(together.get(first + n)).isZero();
    }

    private static void add(ExactSums sums, int first, double[] values) {
        for (int i = 0; i < values.length; i++) {
            sums.add(first + i, values[i]);
        }
    }
}
