package dev.rebias.device;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Optional;

/**
 * Sums of the columns of a layer's input, and of products of two columns. The columns are p = q - zero, q being the
 * integers of the input's channels; with the float layer's own input x also v = x - scale p, one for each channel
 * behind all p. Sums of integers are exact in doubles; what is a float is summed up exactly, so totals that are merged
 * are those of all samples.
 */
public final class GramTotals {
    private final int inputs;
    private final double zero;
    /** Sums of q[i], and of q[i] q[j]. */
    private final double[] sums;

    private final double[] products;
    private final Optional<Differences> differences;
    private final ExactSums squaredSampleMeans;
    private long count;
    private long samples;

    /**
     * What the float layer's own input adds.
     *
     * @param sums of v[i]
     * @param products of v[i] v[j], then of v[i] p[j]
     */
    public record Differences(ExactSums sums, ExactSums products) {
        /** Of nothing. */
        public static Differences none(int inputs) {
            return new Differences(new ExactSums(inputs), new ExactSums(2 * inputs * inputs));
        }

        /** Adds those of other samples. */
        public void add(Differences others) {
            sums.add(others.sums);
            products.add(others.products);
        }
    }

    /**
     * Totals; the arrays become their own.
     *
     * @param sums of q[i]
     * @param products [inputs, inputs], of q[i] q[j]
     * @param squaredSampleMeans for each output channel the sum over samples of (mean of the error without biases
     *     within the sample)^2; of nothing where nobody wants them
     * @param count how many rows (samples times positions) there were
     */
    public GramTotals(
            double[] sums,
            double[] products,
            long zero,
            Optional<Differences> differences,
            ExactSums squaredSampleMeans,
            long count,
            long samples) {
        this.inputs = sums.length;
        this.zero = zero;
        this.sums = sums;
        this.products = products;
        this.differences = differences;
        this.squaredSampleMeans = squaredSampleMeans;
        this.count = count;
        this.samples = samples;
    }

    /** Adds the totals of other samples. */
    public void add(GramTotals others) {
        for (int i = 0; i < sums.length; i++) {
            sums[i] += others.sums[i];
        }
        for (int i = 0; i < products.length; i++) {
            products[i] += others.products[i];
        }
        differences.ifPresent(d -> d.add(others.differences.orElseThrow()));
        squaredSampleMeans.add(others.squaredSampleMeans);
        count += others.count;
        samples += others.samples;
    }

    /**
     * Writes all but the products, with nothing rounded: what the mean errors follow from.
     *
     * @throws IOException if the output fails
     */
    public void writeSums(DataOutput out) throws IOException {
        for (double sum : sums) {
            out.writeDouble(sum);
        }
        if (differences.isPresent()) {
            differences.get().sums().write(out);
        }
        squaredSampleMeans.write(out);
        out.writeLong(count);
        out.writeLong(samples);
    }

    /** Totals of no samples, to which those can be added that were written: without any products. */
    public GramTotals emptySums() {
        return new GramTotals(
                new double[inputs],
                new double[0],
                (long) zero,
                differences.map(d -> new Differences(new ExactSums(inputs), new ExactSums(0))),
                new ExactSums(squaredSampleMeans.size()),
                0,
                0);
    }

    /**
     * Adds sums of other samples that were {@linkplain #writeSums written}, to totals without products.
     *
     * @throws IOException if they are of another layer, or the input fails
     */
    public void addSums(DataInput in) throws IOException {
        for (int i = 0; i < sums.length; i++) {
            sums[i] += in.readDouble();
        }
        if (differences.isPresent()) {
            differences.get().sums().add(in);
        }
        squaredSampleMeans.add(in);
        count += in.readLong();
        samples += in.readLong();
    }

    /** How many samples there were. */
    public long samples() {
        return samples;
    }

    /** How many columns there are: the p, then the v. */
    public int columns() {
        return differences.isPresent() ? 2 * inputs : inputs;
    }

    /** The sum of every column over samples and positions; whole numbers for the p. */
    public double[] sums() {
        double[] all = new double[columns()];
        for (int i = 0; i < inputs; i++) {
            all[i] = sums[i] - zero * count;
        }
        differences.ifPresent(d -> System.arraycopy(d.sums().get(0, inputs), 0, all, inputs, inputs));
        return all;
    }

    /** How many rows there were. */
    public long count() {
        return count;
    }

    /**
     * For an output channel the mean over samples of (mean of the error without biases within the sample)^2, where that
     * was wanted.
     */
    public double squaredSampleMeans(int channel) {
        return squaredSampleMeans.get(channel) / samples;
    }

    /** The covariances of every two columns, row by row. */
    public Covariances covariances() {
        double[] means = sums();
        for (int i = 0; i < means.length; i++) {
            means[i] /= count;
        }
        double[] ofDifferences =
                differences.map(d -> d.products().get(0, d.products().size())).orElse(new double[0]);
        return (column, to) -> {
            boolean integers = column < inputs;
            if (integers) {
                double mean = sums[column] / count;
                for (int j = 0; j < inputs; j++) {
                    to[j] = (float) (products[column * inputs + j] / count - mean * (sums[j] / count));
                }
            }
            for (int i = 0; i < inputs && differences.isPresent(); i++) {
                // Of v[i] and p[column], or of v[column] and p[i], then v[i].
                if (integers) {
                    double product = ofDifferences[inputs * inputs + i * inputs + column] / count;
                    to[inputs + i] = (float) (product - means[inputs + i] * means[column]);
                } else {
                    int at = (column - inputs) * inputs + i;
                    to[i] = (float) (ofDifferences[inputs * inputs + at] / count - means[column] * means[i]);
                    to[inputs + i] = (float) (ofDifferences[at] / count - means[column] * means[inputs + i]);
                }
            }
        };
    }

    /** Covariances of a column and every column. */
    @FunctionalInterface
    public interface Covariances {
        /** Those of one column. */
        void read(int column, float[] to);
    }
}
