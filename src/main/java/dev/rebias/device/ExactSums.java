package dev.rebias.device;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Arrays;

/**
 * Sums of doubles without any rounding, so a sum depends neither on the order of its addends nor on how they are
 * divided between objects that are merged later. As long as two doubles hold a sum exactly, they do (TwoSum: Knuth,
 * "The Art of Computer Programming", volume 2, 1969); what they cannot hold goes to an integer of as many 32-bit digits
 * as the addends need (a small superaccumulator: Neal, "Fast exact summation using small and large superaccumulators",
 * 2015). Not safe for use by several threads.
 */
public final class ExactSums {
    private static final int DIGIT = 32;
    private static final long DIGIT_MASK = 0xFFFFFFFFL;
    /** A double is an integer times 2^-1074: of so many digits at most, of which one addend touches three. */
    private static final int MOST_DIGITS = 2100 / DIGIT + 3;

    private static final int TOUCHED = 3;
    private static final int LOWEST_EXPONENT = -1074;
    private static final int EXPONENTS = 0x7FF;
    /** As many addends leave room in a word of 64 bits for their digits' sum. */
    private static final int UNCARRIED = 1 << 30;

    /** So many addends are added at a time. */
    private static final int TOGETHER = 256;

    /** Every thread's arrays, so that they stay in the nearest cache whatever sums it adds to. */
    private static final ThreadLocal<Work> WORK = ThreadLocal.withInitial(Work::new);

    /** Of the addends at work: their values, the old and the new doubles of their sums, and what is left over. */
    private static final class Work {
        private final double[] addends = new double[TOGETHER];
        private final double[] high = new double[TOGETHER];
        private final double[] low = new double[TOGETHER];
        private final double[] totals = new double[TOGETHER];
        private final double[] rests = new double[TOGETHER];
        private final double[] left = new double[TOGETHER];
    }

    private final int size;
    /** Each sum's two doubles: it is theirs and the digits'. */
    private final double[] high;

    private final double[] low;
    /**
     * The digits that are kept: those from {@code lowest} on, {@code digits} of them for each sum, signed until they
     * are carried.
     */
    private int lowest;

    private int digits;
    private long[] words = {};
    private int uncarried;
    /** Addends that are not finite. */
    private double[] special = {};

    /** Sums of nothing. */
    public ExactSums(int size) {
        this.size = size;
        this.high = new double[size];
        this.low = new double[size];
    }

    /** How many sums there are. */
    public int size() {
        return size;
    }

    /** Adds an array's values to the sums from {@code first} on. */
    public void add(int first, double[] values) {
        Work work = WORK.get();
        for (int at = 0; at < values.length; at += TOGETHER) {
            int n = Math.min(TOGETHER, values.length - at);
            System.arraycopy(values, at, work.addends, 0, n);
            addTogether(first + at, work, n);
        }
    }

    /** The same of floats. */
    public void add(int first, float[] values) {
        Work work = WORK.get();
        for (int at = 0; at < values.length; at += TOGETHER) {
            int n = Math.min(TOGETHER, values.length - at);
            for (int i = 0; i < n; i++) {
                work.addends[i] = values[at + i];
            }
            addTogether(first + at, work, n);
        }
    }

    /**
     * Adds the addends: a vector loop without branches, and then those one by one that two doubles cannot take. The
     * loop works on copies that begin where it does: without these JDK 17 takes 2.8 ns per addend, with them 1.6.
     */
    private void addTogether(int first, Work work, int n) {
        System.arraycopy(high, first, work.high, 0, n);
        System.arraycopy(low, first, work.low, 0, n);
        addAll(work.addends, work.high, work.low, work.totals, work.rests, work.left, n);
        if (areZero(work.left, n, work.high)) {
            System.arraycopy(work.totals, 0, high, first, n);
            System.arraycopy(work.rests, 0, low, first, n);
            return;
        }
        for (int i = 0; i < n; i++) {
            if (work.left[i] == 0) {
                high[first + i] = work.totals[i];
                low[first + i] = work.rests[i];
            } else {
                add(first + i, work.addends[i]);
            }
        }
    }

    private static void addAll(
            double[] addends, double[] high, double[] low, double[] totals, double[] rests, double[] left, int n) {
        for (int i = 0; i < n; i++) {
            double h = high[i];
            double l = low[i];
            double value = addends[i];
            double total = h + value;
            double part = total - h;
            double lost = (h - (total - part)) + (value - part);
            double rest = l + lost;
            double partOfLost = rest - l;
            totals[i] = total;
            rests[i] = rest;
            left[i] = (l - (rest - partOfLost)) + (lost - partOfLost);
        }
    }

    /** Whether all values are; first four by four, which is a vector loop. */
    private static boolean areZero(double[] values, int n, double[] folded) {
        int quarter = n / 4;
        for (int i = 0; i < quarter; i++) {
            folded[i] = Math.abs(values[i])
                    + Math.abs(values[quarter + i])
                    + Math.abs(values[2 * quarter + i])
                    + Math.abs(values[3 * quarter + i]);
        }
        boolean zero = true;
        for (int i = 0; i < quarter; i++) {
            zero &= folded[i] == 0;
        }
        for (int i = 4 * quarter; i < n; i++) {
            zero &= values[i] == 0;
        }
        return zero;
    }

    /** Adds a value to a sum. */
    public void add(int sum, double value) {
        double h = high[sum];
        double l = low[sum];
        double total = h + value;
        double lost = lost(h, value, total);
        double rest = l + lost;
        if (lost(l, lost, rest) == 0) {
            high[sum] = total;
            low[sum] = rest;
        } else {
            // Too far apart for two doubles, or not finite.
            pass(sum);
            pass(sum, value);
        }
    }

    /** What a + b, rounded to a double, is too small by; not a number where that is not finite. */
    private static double lost(double a, double b, double sum) {
        double part = sum - a;
        return (a - (sum - part)) + (b - part);
    }

    /** Passes a sum's doubles to its digits. */
    private void pass(int sum) {
        pass(sum, high[sum]);
        pass(sum, low[sum]);
        high[sum] = 0;
        low[sum] = 0;
    }

    private void pass(int sum, double value) {
        long bits = Double.doubleToRawLongBits(value);
        int exponent = (int) (bits >>> 52) & EXPONENTS;
        if (exponent == EXPONENTS) {
            addSpecial(sum, value);
            return;
        }
        long mantissa = bits & 0xFFFFFFFFFFFFFL;
        if (exponent > 0) {
            mantissa |= 1L << 52;
            exponent--;
        }
        if (mantissa == 0) {
            return;
        }
        int digit = exponent / DIGIT;
        int shift = exponent % DIGIT;
        if (digit < lowest || digit + TOUCHED > lowest + digits) {
            reach(digit, digit + TOUCHED);
        }
        if (++uncarried == UNCARRIED) {
            carry();
        }
        int at = sum * digits + digit - lowest;
        long low = (mantissa << shift) & DIGIT_MASK;
        long middle = (mantissa >>> (DIGIT - shift)) & DIGIT_MASK;
        long high = (mantissa >>> DIGIT) >>> (DIGIT - shift);
        if (bits >= 0) {
            words[at] += low;
            words[at + 1] += middle;
            words[at + 2] += high;
        } else {
            words[at] -= low;
            words[at + 1] -= middle;
            words[at + 2] -= high;
        }
    }

    private void addSpecial(int sum, double value) {
        if (special.length == 0) {
            special = new double[size];
        }
        special[sum] += value;
    }

    /** Makes room for the digits [from, to), and some more, so that this happens seldom. */
    private void reach(int from, int to) {
        int first = Math.max(0, Math.min(digits == 0 ? from : lowest, from - 1));
        int end = Math.min(MOST_DIGITS, Math.max(digits == 0 ? to : lowest + digits, to + 1));
        long[] wider = new long[size * (end - first)];
        for (int i = 0; i < size && digits > 0; i++) {
            System.arraycopy(words, i * digits, wider, i * (end - first) + lowest - first, digits);
        }
        words = wider;
        lowest = first;
        digits = end - first;
    }

    /** Brings every digit but the highest of each sum into [0, 2^32). */
    private void carry() {
        // The highest digit takes the carry; one more makes sure that it can.
        if (digits > 0 && lowest + digits < MOST_DIGITS && highestIsUsed()) {
            reach(lowest, lowest + digits);
        }
        for (int i = 0; i < size; i++) {
            int end = (i + 1) * digits - 1;
            for (int at = i * digits; at < end; at++) {
                words[at + 1] += words[at] >> DIGIT;
                words[at] &= DIGIT_MASK;
            }
        }
        uncarried = 0;
    }

    private boolean highestIsUsed() {
        for (int i = 1; i <= size; i++) {
            if (Math.abs(words[i * digits - 1]) >>> (DIGIT - 1) != 0) {
                return true;
            }
        }
        return false;
    }

    /**
     * A sum, rounded to a double: the same for equal sums, however they came about; exact where a double can hold it.
     */
    public double get(int sum) {
        if (special.length > 0 && special[sum] != 0) {
            return special[sum];
        }
        if (low[sum] == 0 && !hasDigits(sum)) {
            return high[sum];
        }
        pass(sum);
        // One more takes the carry.
        long[] own = Arrays.copyOf(Arrays.copyOfRange(words, sum * digits, (sum + 1) * digits), digits + 1);
        for (int i = 0; i < own.length - 1; i++) {
            own[i + 1] += own[i] >> DIGIT;
            own[i] &= DIGIT_MASK;
        }
        boolean negative = own[own.length - 1] < 0;
        if (negative) {
            negate(own);
        }
        // From the lowest digit up, each sum is below the next digit: only the last additions round.
        double value = 0;
        for (int i = 0; i < own.length; i++) {
            value += Math.scalb((double) own[i], (lowest + i) * DIGIT + LOWEST_EXPONENT);
        }
        return negative ? -value : value;
    }

    private boolean hasDigits(int sum) {
        for (int at = sum * digits; at < (sum + 1) * digits; at++) {
            if (words[at] != 0) {
                return true;
            }
        }
        return false;
    }

    private static void negate(long[] own) {
        for (int i = 0; i < own.length; i++) {
            own[i] = -own[i];
        }
        for (int i = 0; i < own.length - 1; i++) {
            own[i + 1] += own[i] >> DIGIT;
            own[i] &= DIGIT_MASK;
        }
    }

    /** The sums from {@code first} on, n of them. */
    public double[] get(int first, int n) {
        double[] values = new double[n];
        for (int i = 0; i < n; i++) {
            values[i] = get(first + i);
        }
        return values;
    }

    /** Adds as many other sums to these. */
    public void add(ExactSums other) {
        if (other.size != size) {
            throw new IllegalArgumentException(size + " sums cannot take " + other.size + " others");
        }
        for (int i = 0; i < other.special.length; i++) {
            if (other.special[i] != 0) {
                addSpecial(i, other.special[i]);
            }
        }
        for (int i = 0; i < size; i++) {
            add(i, other.high[i]);
            add(i, other.low[i]);
        }
        if (other.digits == 0) {
            return;
        }
        carry();
        other.carry();
        if (other.lowest < lowest || digits == 0 || other.lowest + other.digits > lowest + digits) {
            reach(other.lowest, other.lowest + other.digits);
        }
        for (int i = 0; i < size; i++) {
            int to = i * digits + other.lowest - lowest;
            for (int d = 0; d < other.digits; d++) {
                words[to + d] += other.words[i * other.digits + d];
            }
        }
        uncarried = 2;
    }

    /**
     * Writes the sums, with nothing rounded: of integers and of floats that a double holds, 8 bytes for each.
     *
     * @throws IOException if the output fails
     */
    public void write(DataOutput out) throws IOException {
        carry();
        out.writeInt(size);
        boolean two = Arrays.stream(low).anyMatch(v -> v != 0);
        out.writeBoolean(two);
        out.writeInt(digits);
        out.writeBoolean(special.length > 0);
        write(high, out);
        if (two) {
            write(low, out);
        }
        if (digits > 0) {
            out.writeInt(lowest);
            for (long word : words) {
                out.writeLong(word);
            }
        }
        write(special, out);
    }

    private static void write(double[] values, DataOutput out) throws IOException {
        for (double value : values) {
            out.writeDouble(value);
        }
    }

    /**
     * Adds as many sums that were {@linkplain #write written}.
     *
     * @throws IOException if they are others, or the input fails
     */
    public void add(DataInput in) throws IOException {
        int written = in.readInt();
        boolean two = in.readBoolean();
        int theirDigits = in.readInt();
        boolean specials = in.readBoolean();
        if (written != size || theirDigits < 0 || theirDigits > MOST_DIGITS) {
            throw new IOException(written + " sums of " + theirDigits + " digits where " + size + " are expected");
        }
        ExactSums others = new ExactSums(size);
        read(others.high, in);
        if (two) {
            read(others.low, in);
        }
        if (theirDigits > 0) {
            others.digits = theirDigits;
            others.lowest = in.readInt();
            others.words = new long[size * theirDigits];
            for (int i = 0; i < others.words.length; i++) {
                others.words[i] = in.readLong();
            }
        }
        if (specials) {
            others.special = new double[size];
            read(others.special, in);
        }
        add(others);
    }

    private static void read(double[] values, DataInput in) throws IOException {
        for (int i = 0; i < values.length; i++) {
            values[i] = in.readDouble();
        }
    }
}
