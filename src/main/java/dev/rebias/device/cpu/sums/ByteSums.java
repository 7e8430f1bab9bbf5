package dev.rebias.device.cpu.sums;

import dev.rebias.device.cpu.elementwise.ElementLoops;
import dev.rebias.device.cpu.onednn.ThreadScratch;
import dev.rebias.tensor.ElementType;
import java.nio.LongBuffer;
import java.util.Arrays;
import java.util.function.Consumer;

/**
 * Exact sums of rows of 8-bit integers less a zero point, element by element. Eight bytes are added at a time, every
 * second one to a sum of 16 bits; these are passed on as doubles before they are full. Short rows are added several at
 * a time, as one.
 */
final class ByteSums {
    /** So many bytes fit into the sum of 16 bits that each has in a word. */
    private static final int ROWS = 0xFFFF / 0xFF;

    /** What one loop should have to do, in words: a call costs as much as some of them. */
    private static final int WORDS = 64;

    private final long flipped;
    private final long offset;
    private final int length;
    private final int words;
    private final long[] even;
    private final long[] odd;
    private final Consumer<double[]> target;
    private int added;
    private long rows;

    /**
     * Of no rows.
     *
     * @param type UINT8 or INT8
     * @param length of a row, a multiple of 8
     * @param target takes the sums of some rows, as many elements as a row has, whenever they are passed on; the array
     *     is longer and not to be kept
     */
    ByteSums(ElementType type, long zero, int length, Consumer<double[]> target) {
        boolean signed = type == ElementType.INT8;
        this.flipped = signed ? ElementLoops.HIGH_BITS : 0;
        this.offset = zero + (signed ? 128 : 0);
        this.length = length;
        this.words = length / Long.BYTES;
        int together = Math.max(1, WORDS / words);
        this.even = new long[words * together];
        this.odd = new long[words * together];
        this.target = target;
    }

    /** Adds so many rows, from the one with that number on. */
    void add(ThreadScratch scratch, LongBuffer data, int first, int count) {
        long[] tile = scratch.longs(even.length);
        int end = (first + count) * words;
        for (int at = first * words; at < end; at += even.length) {
            int n = Math.min(even.length, end - at);
            data.get(at, tile, 0, n);
            ElementLoops.addBytes(tile, flipped, even, odd, n);
            rows += n / words;
            if (++added == ROWS) {
                pass(scratch);
            }
        }
    }

    /** Passes on what has not been passed on yet. */
    void pass(ThreadScratch scratch) {
        if (added == 0) {
            return;
        }
        double[] sums = scratch.wide(1, length)[0];
        Arrays.fill(sums, 0, length, -(double) (rows * offset));
        int at = 0;
        for (int word = 0; word < even.length; word++) {
            // The machine's words have their first byte last, and there is no other kind with oneDNN.
            long first = even[word];
            long second = odd[word];
            at = at == length ? 0 : at;
            for (int pair = 0; pair < Long.BYTES / 2; pair++) {
                sums[at++] += first & 0xFFFF;
                sums[at++] += second & 0xFFFF;
                first >>>= 16;
                second >>>= 16;
            }
        }
        target.accept(sums);
        Arrays.fill(even, 0);
        Arrays.fill(odd, 0);
        added = 0;
        rows = 0;
    }
}
