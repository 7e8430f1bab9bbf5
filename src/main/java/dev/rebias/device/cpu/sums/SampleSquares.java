package dev.rebias.device.cpu.sums;

import dev.rebias.device.ExactSums;
import dev.rebias.device.cpu.onednn.CpuContext;
import dev.rebias.device.cpu.onednn.ThreadScratch;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Sums, over samples, of the squares of what a matrix makes of each sample's means. Each thread collects a few samples,
 * so that the matrix is read once for all of them, and adds up its own. Safe for use by several threads.
 */
final class SampleSquares {
    /** A product is added up in so many parts. */
    private static final int PARTS = 4;

    /** So many columns of each part are added in one loop. */
    private static final int COLUMNS = 4;

    /** So many samples are collected. */
    private static final int SAMPLES = 8;

    private final CpuContext context;
    private final int channels;
    private final int columns;
    /** [columns, channels]: a vector loop runs along the channels. */
    private final double[] transposed;

    private final Map<ThreadScratch, Collected> perThread = new ConcurrentHashMap<>();

    /** What one thread has collected, and the sums of what it had before. */
    private final class Collected {
        private final double[][] means = new double[SAMPLES][];
        private final double[] weights = new double[SAMPLES];
        private final ExactSums sums = new ExactSums(channels);
        private int filled;

        void add(ThreadScratch scratch, double[] own, double weight) {
            means[filled] = own;
            weights[filled] = weight;
            if (++filled == SAMPLES) {
                pass(scratch);
            }
        }

        /** Adds to the sums what is collected. */
        void pass(ThreadScratch scratch) {
            double[][] parts = scratch.wide(SAMPLES * PARTS, channels);
            multiply(means, filled, parts);
            double[] squares = new double[channels];
            for (int n = 0; n < filled; n++) {
                square(parts, n * PARTS, weights[n], squares);
                sums.add(0, squares);
            }
            filled = 0;
        }
    }

    /**
     * Of no samples.
     *
     * @param matrix [channels, columns]
     * @param wanted whether any will be added: else nothing is made ready
     */
    SampleSquares(CpuContext context, double[] matrix, int columns, boolean wanted) {
        this.context = context;
        this.columns = columns;
        this.channels = matrix.length / columns;
        this.transposed = new double[wanted ? matrix.length : 0];
        for (int i = 0; i < transposed.length; i++) {
            transposed[i % columns * channels + i / columns] = matrix[i];
        }
    }

    /**
     * Adds a batch.
     *
     * @param means for each unit of work the columns' means, which are not changed any more
     * @param samples that the units are
     */
    void add(double[][] means, int samples) {
        ThreadScratch scratch = context.scratch();
        Collected own = perThread.computeIfAbsent(scratch, s -> new Collected());
        for (double[] unit : means) {
            own.add(scratch, unit, (double) samples / means.length);
        }
    }

    /**
     * What {@link dev.rebias.op.Taps#dot} makes of each channel's row and of the means of n samples, bit for bit, but
     * for the last addition of the parts.
     *
     * @param parts become the parts of the first sample, then those of the second ...
     */
    private void multiply(double[][] means, int n, double[][] parts) {
        for (int part = 0; part < n * PARTS; part++) {
            Arrays.fill(parts[part], 0, channels, 0);
        }
        int even = columns / PARTS * PARTS;
        int block = PARTS * COLUMNS;
        int blocks = columns / block * block;
        for (int i = 0; i < blocks; i += block) {
            for (int sample = 0; sample < n; sample++) {
                for (int part = 0; part < PARTS; part++) {
                    addScaled(transposed, i + part, channels, means[sample], parts[sample * PARTS + part]);
                }
            }
        }
        for (int i = blocks; i < columns; i++) {
            for (int sample = 0; sample < n; sample++) {
                double[] part = parts[sample * PARTS + (i < even ? i % PARTS : 0)];
                addScaled(transposed, i * channels, means[sample][i], part, channels);
            }
        }
    }

    /** Adds every fourth column, four of them one after the other. */
    private static void addScaled(double[] x, int column, int n, double[] factors, double[] to) {
        int a = column * n;
        int b = a + PARTS * n;
        int c = b + PARTS * n;
        int d = c + PARTS * n;
        double byA = factors[column];
        double byB = factors[column + PARTS];
        double byC = factors[column + 2 * PARTS];
        double byD = factors[column + 3 * PARTS];
        for (int i = 0; i < n; i++) {
            to[i] = (((to[i] + x[a + i] * byA) + x[b + i] * byB) + x[c + i] * byC) + x[d + i] * byD;
        }
    }

    private static void addScaled(double[] x, int from, double factor, double[] to, int n) {
        for (int i = 0; i < n; i++) {
            to[i] += x[from + i] * factor;
        }
    }

    private void square(double[][] parts, int at, double weight, double[] squares) {
        for (int c = 0; c < channels; c++) {
            double product = parts[at][c] + parts[at + 1][c] + (parts[at + 2][c] + parts[at + 3][c]);
            squares[c] = product * product * weight;
        }
    }

    /** The sums, [channels]; nothing may be added any more. */
    ExactSums sums() {
        ExactSums all = new ExactSums(channels);
        for (Collected own : perThread.values()) {
            own.pass(context.scratch());
            all.add(own.sums);
        }
        return all;
    }
}
