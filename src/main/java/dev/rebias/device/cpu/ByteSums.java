package dev.rebias.device.cpu;

import dev.rebias.tensor.ElementType;
import java.nio.LongBuffer;
import java.util.Arrays;

/**
 * Exact sums of rows of 8-bit integers less a zero point, element by element. Eight bytes are added at a time, every
 * second one to a sum of 16 bits; doubles take these before they are full.
 */
final class ByteSums {
    /** So many bytes fit into the sum of 16 bits that each has in a word. */
    private static final int ROWS = 0xFFFF / 0xFF;

    private final long flipped;
    private final long offset;
    private final int words;
    private final long[] even;
    private final long[] odd;
    private double[] sums;
    private int added;

    /**
     * Of no rows.
     *
     * @param type UINT8 or INT8
     * @param sums what rows are added to, as {@link #into}; as long as a row, a multiple of 8
     */
    ByteSums(ElementType type, long zero, double[] sums) {
        boolean signed = type == ElementType.INT8;
        this.flipped = signed ? ElementLoops.HIGH_BITS : 0;
        this.offset = zero + (signed ? 128 : 0);
        this.words = sums.length / Long.BYTES;
        this.even = new long[words];
        this.odd = new long[words];
        this.sums = sums;
    }

    /** The array that the next rows are added to; the last one has all that it should. */
    void into(double[] next) {
        empty();
        sums = next;
    }

    /** Adds the row with that number. */
    void add(ThreadScratch scratch, LongBuffer rows, int number) {
        long[] row = scratch.longs(words);
        rows.get(number * words, row, 0, words);
        ElementLoops.addBytes(row, flipped, even, odd, words);
        if (++added == ROWS) {
            empty();
        }
    }

    /** Adds to the array what it lacks yet. */
    void empty() {
        if (added == 0) {
            return;
        }
        long less = added * offset;
        int at = 0;
        for (int word = 0; word < words; word++) {
            // The machine's words have their first byte last, and there is no other kind with oneDNN.
            long first = even[word];
            long second = odd[word];
            for (int pair = 0; pair < Long.BYTES / 2; pair++) {
                sums[at++] += (first & 0xFFFF) - less;
                sums[at++] += (second & 0xFFFF) - less;
                first >>>= 16;
                second >>>= 16;
            }
        }
        Arrays.fill(even, 0);
        Arrays.fill(odd, 0);
        added = 0;
    }
}
