package dev.rebias.device.cpu;

import dev.rebias.device.ExactSums;

/**
 * Sums, over samples, of the squares of what a matrix makes of each sample's means. Safe for use by several threads.
 */
final class SampleSquares {
    /** A product is added up in so many parts. */
    private static final int PARTS = 4;

    private final int channels;
    private final int columns;
    /** [columns, channels]: a vector loop runs along the channels. */
    private final double[] transposed;

    private final ExactSums sums;

    /**
     * Of no samples.
     *
     * @param matrix [channels, columns]
     * @param wanted whether any will be added: else nothing is made ready
     */
    SampleSquares(double[] matrix, int columns, boolean wanted) {
        this.columns = columns;
        this.channels = matrix.length / columns;
        this.transposed = new double[wanted ? matrix.length : 0];
        this.sums = new ExactSums(channels);
        for (int i = 0; i < transposed.length; i++) {
            transposed[i % columns * channels + i / columns] = matrix[i];
        }
    }

    /**
     * Adds a batch.
     *
     * @param means for each unit of work the columns' means
     * @param samples that the units are
     */
    void add(double[][] means, int samples) {
        double weight = (double) samples / means.length;
        double[][] squares = new double[means.length][];
        for (int n = 0; n < means.length; n++) {
            squares[n] = products(means[n]);
            for (int c = 0; c < channels; c++) {
                squares[n][c] = squares[n][c] * squares[n][c] * weight;
            }
        }
        synchronized (sums) {
            for (double[] unit : squares) {
                sums.add(0, unit);
            }
        }
    }

    /** What {@link dev.rebias.op.Taps#dot} makes of each channel's row, bit for bit. */
    private double[] products(double[] means) {
        double[][] parts = new double[PARTS][channels];
        int even = columns / PARTS * PARTS;
        for (int i = 0; i < columns; i++) {
            addScaled(transposed, i * channels, means[i], parts[i < even ? i % PARTS : 0], channels);
        }
        double[] products = parts[0];
        for (int c = 0; c < channels; c++) {
            products[c] = products[c] + parts[1][c] + (parts[2][c] + parts[3][c]);
        }
        return products;
    }

    private static void addScaled(double[] x, int from, double factor, double[] to, int n) {
        for (int i = 0; i < n; i++) {
            to[i] += x[from + i] * factor;
        }
    }

    /** The sums, [channels]. */
    ExactSums sums() {
        return sums;
    }
}
