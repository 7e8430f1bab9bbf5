package dev.rebias.device;

import dev.rebias.op.Unfolding;
import java.util.stream.IntStream;

/**
 * Sums over samples and output positions of the {@linkplain Unfolding unfolded} input of a layer and of products of two
 * of its elements, group by group. The elements are p = q - zero, q being the layer's integers, or the floats that it
 * works on. Where the float layer has an input x of its own there are also v = x - scale p, and what the float layer's
 * weights make of it: u = W_f v.
 *
 * @param unfolding what a row is
 * @param sums of p, for each group [length]
 * @param products of p[i] p[j], for each group [length, length]
 * @param differences of v, for each group [length]; empty without an input of the float layer's own
 * @param crossed of p[i] v[j], for each group [length, length]; empty likewise
 * @param references of u, [channels]; empty likewise
 * @param squares of u^2, likewise
 * @param count how many rows a group had
 * @param samples how many samples there were
 */
public record UnfoldedTotals(
        Unfolding unfolding,
        double[][] sums,
        double[][] products,
        double[][] differences,
        double[][] crossed,
        double[] references,
        double[] squares,
        long count,
        long samples) {
    /** Totals of nothing. */
    public static UnfoldedTotals none(Unfolding unfolding, boolean joint) {
        int groups = unfolding.groups();
        int length = unfolding.length();
        int square = Math.multiplyExact(length, length);
        return new UnfoldedTotals(
                unfolding,
                new double[groups][length],
                new double[groups][square],
                joint ? new double[groups][length] : new double[0][],
                joint ? new double[groups][square] : new double[0][],
                new double[joint ? unfolding.channels() : 0],
                new double[joint ? unfolding.channels() : 0],
                0,
                0);
    }

    /** No totals at all, in no memory. */
    public static UnfoldedTotals empty(Unfolding unfolding) {
        double[][] none = {};
        return new UnfoldedTotals(unfolding, none, none, none, none, new double[0], new double[0], 0, 0);
    }

    /** Whether the float layer has an input of its own. */
    public boolean joint() {
        return crossed.length > 0;
    }

    /** These and others; these must not be used any more. */
    public UnfoldedTotals plus(UnfoldedTotals others) {
        if (sums.length == 0 || others.sums.length == 0) {
            return sums.length == 0 ? others : this;
        }
        add(sums, others.sums);
        add(products, others.products);
        add(differences, others.differences);
        add(crossed, others.crossed);
        add(references, others.references);
        add(squares, others.squares);
        return new UnfoldedTotals(
                unfolding,
                sums,
                products,
                differences,
                crossed,
                references,
                squares,
                count + others.count,
                samples + others.samples);
    }

    private static void add(double[][] to, double[][] more) {
        IntStream.range(0, to.length).forEach(i -> add(to[i], more[i]));
    }

    private static void add(double[] to, double[] more) {
        for (int i = 0; i < to.length; i++) {
            to[i] += more[i];
        }
    }

    /** The covariances of a group's p, times scale^2: [length, length], both halves. */
    public double[][] covariance(int group, double scale) {
        double[] means = means(group);
        int n = means.length;
        double[][] h = new double[n][n];
        for (int i = 0; i < n; i++) {
            for (int j = i; j < n; j++) {
                h[i][j] = (products[group][i * n + j] / count - means[i] * means[j]) * scale * scale;
                h[j][i] = h[i][j];
            }
        }
        return h;
    }

    /** The covariances of a group's p[i] and v[j], times scale: [length, length]. */
    public double[][] crossCovariance(int group, double scale) {
        double[] means = means(group);
        int n = means.length;
        double[][] c = new double[n][n];
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < n; j++) {
                double mean = differences[group][j] / count;
                c[i][j] = (crossed[group][i * n + j] / count - means[i] * mean) * scale;
            }
        }
        return c;
    }

    /** The means of a group's p. */
    public double[] means(int group) {
        double[] means = sums[group].clone();
        for (int i = 0; i < means.length; i++) {
            means[i] /= count;
        }
        return means;
    }
}
