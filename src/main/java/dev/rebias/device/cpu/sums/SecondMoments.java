package dev.rebias.device.cpu.sums;

import dev.rebias.device.Resources;
import dev.rebias.device.cpu.elementwise.ElementLoops;
import dev.rebias.device.cpu.memory.Address;
import dev.rebias.device.cpu.memory.NativeMemory;
import dev.rebias.device.cpu.onednn.CpuContext;
import dev.rebias.device.cpu.onednn.ThreadScratch;
import dev.rebias.tensor.ElementType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.IntBuffer;
import java.nio.LongBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;

/**
 * The sum of rows of 8-bit integers, and the sum of their products with each other: for rows q[r, i], sum q[r, i] and
 * sum q[r, i] q[r, j]. Rows are collected until there are enough for an efficient product of matrices of bytes. All
 * sums are of integers and exact, so neither the order of the rows nor who adds them changes a bit. Rows may be added
 * by several threads; each collects its own.
 */
final class SecondMoments implements AutoCloseable {
    /** What the rows that are collected may take, so that they stay in the second-level cache. */
    private static final int COLLECTED_BYTES = 128 << 10;

    /** As many products of a byte and a signed byte as an INT32 can hold the sum of: 2^31 / (255 * 128). */
    private static final int EXACT_ROWS = 65_000;

    private final CpuContext context;
    private final ElementType type;
    private final int columns;
    /** How many rows are collected. */
    private final int capacity;

    private final Map<ThreadScratch, Rows> perThread = new ConcurrentHashMap<>();
    /** Sums of q[i] b[j], b being q as a signed byte: q - 128 where q is unsigned; once finished of q[i] q[j]. */
    private final double[] products;
    /** Sums of b. */
    private final double[] sums;
    /** How many rows there were, those of zeros that filled up the last ones included. */
    private long padded;

    private long count;

    /**
     * No rows.
     *
     * @param type UINT8 or INT8
     * @param columns how long a row is
     */
    SecondMoments(CpuContext context, ElementType type, int columns) {
        this.context = context;
        this.type = type;
        this.columns = columns;
        this.capacity = Math.max(256, Math.min(4096, COLLECTED_BYTES / columns / 64 * 64));
        this.products = new double[columns * columns];
        this.sums = new double[columns];
    }

    /** The rows that one thread has collected, and its sums. */
    private final class Rows {
        private final int[] productSums = new int[columns * columns];
        private final int[] ownSums = new int[columns];
        private final Resources owned = new Resources();
        private final BytePointer collected = allocate((long) capacity * columns);
        private final BytePointer signed = type == ElementType.INT8 ? collected : allocate((long) capacity * columns);
        private final BytePointer ones = allocate(capacity);
        private final BytePointer results = allocate((long) columns * columns * Integer.BYTES);
        private int filled;
        private int added;

        Rows() {
            Pointer.memset(ones, 1, capacity);
        }

        private BytePointer allocate(long size) {
            try {
                BytePointer made = NativeMemory.allocate(size, "the second moments of " + columns + " channels");
                owned.add(() -> Pointer.free(made));
                return made;
            } catch (OutOfMemoryError e) {
                owned.close();
                throw e;
            }
        }

        void add(ThreadScratch scratch, long from, long rows) {
            try (Address source = new Address();
                    Address target = new Address()) {
                for (long at = 0; at < rows; ) {
                    int n = (int) Math.min(capacity - filled, rows - at);
                    Pointer.memcpy(
                            target.at(collected.address() + (long) filled * columns),
                            source.at(from + at * columns),
                            (long) n * columns);
                    filled += n;
                    at += n;
                    if (filled == capacity) {
                        multiply(scratch);
                    }
                }
            }
        }

        /** Adds what is collected to the sums. */
        void multiply(ThreadScratch scratch) {
            if (filled == 0) {
                return;
            }
            if (filled < capacity) {
                long used = (long) filled * columns;
                try (Address rest = new Address()) {
                    Pointer.memset(rest.at(collected.address() + used), 0, (long) capacity * columns - used);
                }
            }
            if (type == ElementType.UINT8) {
                toSigned(scratch);
            }
            if (added + capacity > EXACT_ROWS) {
                pass();
            }
            add(scratch, collected.address(), true, columns, productSums);
            add(scratch, ones.address(), false, 1, ownSums);
            added += capacity;
            filled = 0;
        }

        private void add(ThreadScratch scratch, long left, boolean transposed, int rows, int[] to) {
            context.products()
                    .ofIntegers(type, transposed, rows, capacity, columns)
                    .execute(scratch, left, signed.address(), results.address());
            int[] tile = scratch.ints(to.length);
            integers(results, to.length).get(0, tile, 0, to.length);
            ElementLoops.addTo(to, tile, to.length);
        }

        private void toSigned(ThreadScratch scratch) {
            LongBuffer from = buffer(collected).asLongBuffer();
            LongBuffer to = buffer(signed).asLongBuffer();
            int words = from.capacity();
            long[] tile = scratch.longs(Math.min(words, 1024));
            for (int at = 0; at < words; at += tile.length) {
                int n = Math.min(tile.length, words - at);
                from.get(at, tile, 0, n);
                ElementLoops.flip(tile, ElementLoops.HIGH_BITS, n);
                to.put(at, tile, 0, n);
            }
        }

        /** Passes the sums on, before they could become too large. */
        void pass() {
            synchronized (SecondMoments.this) {
                for (int i = 0; i < products.length; i++) {
                    products[i] += productSums[i];
                }
                for (int i = 0; i < sums.length; i++) {
                    sums[i] += ownSums[i];
                }
                padded += added;
            }
            Arrays.fill(productSums, 0);
            Arrays.fill(ownSums, 0);
            added = 0;
        }
    }

    private static ByteBuffer buffer(BytePointer memory) {
        return memory.asByteBuffer().order(ByteOrder.nativeOrder());
    }

    private static IntBuffer integers(BytePointer memory, int n) {
        return buffer(memory).asIntBuffer().limit(n);
    }

    /**
     * Adds rows.
     *
     * @param from the address of [rows, columns] bytes
     */
    void add(long from, long rows) {
        ThreadScratch scratch = context.scratch();
        perThread.computeIfAbsent(scratch, l -> new Rows()).add(scratch, from, rows);
        synchronized (this) {
            count += rows;
        }
    }

    /** Adds what is still collected. Once; nothing may be added any more, and what is read below is final. */
    void finish() {
        ThreadScratch scratch = context.scratch();
        List<Rows> all = List.copyOf(perThread.values());
        // What the threads have left makes as few products as it can.
        for (int i = 1; i < all.size(); i++) {
            all.get(0).add(scratch, all.get(i).collected.address(), all.get(i).filled);
            all.get(i).filled = 0;
        }
        for (Rows rows : all) {
            rows.multiply(scratch);
            rows.pass();
        }
        for (int i = 0; i < columns && type == ElementType.UINT8; i++) {
            double shift = 128 * sum(i);
            for (int j = 0; j < columns; j++) {
                products[i * columns + j] += shift;
            }
        }
        close();
    }

    /** How many rows there were. */
    long count() {
        return count;
    }

    private double sum(int i) {
        return type == ElementType.UINT8 ? sums[i] + 128.0 * padded : sums[i];
    }

    /** The sum of every q[i]. */
    double[] sums() {
        double[] all = new double[columns];
        for (int i = 0; i < columns; i++) {
            all[i] = sum(i);
        }
        return all;
    }

    /** The sum of every q[i] q[j], [columns, columns]: the array itself, which is large. */
    double[] products() {
        return products;
    }

    @Override
    public void close() {
        Resources all = new Resources();
        perThread.values().forEach(r -> all.add(r.owned::close));
        perThread.clear();
        all.close();
    }
}
