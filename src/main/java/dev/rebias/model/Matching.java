package dev.rebias.model;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Optional;
import java.util.function.BiPredicate;

/**
 * Which of some layers of the quantised model is which of as many, or more, or fewer, of the float model, all of one
 * kind. The weights decide; among those that are alike equally, names do; then the order in the graph.
 */
final class Matching {
    /**
     * A candidate's distance (1 - similarity) may be that much larger than the best one's for the two to count as
     * equal.
     */
    private static final double RELATIVE = 1.1;

    private static final double ABSOLUTE = 1e-6;

    /** The most channels, and weights of each, that are looked at to choose among candidates. */
    private static final int SAMPLED = 64;

    private final List<Layer> quantized;
    private final List<Layer> floating;
    private final double[][] distance;
    private final double[] nearestFloat;
    private final double[] nearestQuantized;
    private final boolean[] taken;
    private final IdentityHashMap<Layer, Layer> partners = new IdentityHashMap<>();

    private Matching(List<Layer> quantized, List<Layer> floating) {
        this.quantized = quantized;
        this.floating = floating;
        this.distance = new double[quantized.size()][floating.size()];
        this.nearestFloat = new double[quantized.size()];
        this.nearestQuantized = new double[floating.size()];
        this.taken = new boolean[floating.size()];
        List<double[][]> q = quantized.stream().map(Matching::directions).toList();
        List<double[][]> f = floating.stream().map(Matching::directions).toList();
        Arrays.fill(nearestFloat, Double.POSITIVE_INFINITY);
        Arrays.fill(nearestQuantized, Double.POSITIVE_INFINITY);
        for (int i = 0; i < q.size(); i++) {
            for (int j = 0; j < f.size(); j++) {
                distance[i][j] = 1 - similarity(q.get(i), f.get(j));
                nearestFloat[i] = Math.min(nearestFloat[i], distance[i][j]);
                nearestQuantized[j] = Math.min(nearestQuantized[j], distance[i][j]);
            }
        }
    }

    /**
     * Matches layers.
     *
     * @param hints whether names say that the two are one layer; the strongest hint first
     * @return for each layer of the quantised model that has one, its partner
     */
    static IdentityHashMap<Layer, Layer> of(
            List<Layer> quantized, List<Layer> floating, List<BiPredicate<Layer, Layer>> hints) {
        Matching matching = new Matching(quantized, floating);
        hints.forEach(matching::byName);
        matching.rest();
        return matching.partners;
    }

    private void byName(BiPredicate<Layer, Layer> hint) {
        for (int i = 0; i < quantized.size(); i++) {
            for (int j = 0; j < floating.size() && !partners.containsKey(quantized.get(i)); j++) {
                if (!taken[j] && near(distance[i][j], i, j) && hint.test(quantized.get(i), floating.get(j))) {
                    match(i, j);
                }
            }
        }
    }

    private static double equal(double nearest) {
        return RELATIVE * nearest + ABSOLUTE;
    }

    /** Whether neither of the two has a clearly better candidate. */
    private boolean near(double d, int i, int j) {
        return d <= equal(nearestFloat[i]) && d <= equal(nearestQuantized[j]);
    }

    /** The nearest of those that are left, until none is. */
    private void rest() {
        while (true) {
            double nearest = Double.POSITIVE_INFINITY;
            for (int i = 0; i < quantized.size(); i++) {
                for (int j = 0; j < floating.size(); j++) {
                    if (isFree(i, j)) {
                        nearest = Math.min(nearest, distance[i][j]);
                    }
                }
            }
            Optional<int[]> first = firstWithin(equal(nearest));
            if (first.isEmpty()) {
                return;
            }
            match(first.get()[0], first.get()[1]);
        }
    }

    private boolean isFree(int i, int j) {
        return !taken[j] && !partners.containsKey(quantized.get(i));
    }

    private Optional<int[]> firstWithin(double most) {
        for (int i = 0; i < quantized.size(); i++) {
            for (int j = 0; j < floating.size(); j++) {
                if (isFree(i, j) && distance[i][j] <= most) {
                    return Optional.of(new int[] {i, j});
                }
            }
        }
        return Optional.empty();
    }

    private void match(int i, int j) {
        partners.put(quantized.get(i), floating.get(j));
        taken[j] = true;
    }

    /** Some of a layer's rows of weights, each of length 1, or all zero. */
    private static double[][] directions(Layer layer) {
        WeightRows rows = WeightRows.of(layer.op(), layer.weightShape());
        int[] channels = spread(rows.channels());
        int[] places = spread(rows.length());
        double[][] out = new double[channels.length][places.length];
        for (int c = 0; c < channels.length; c++) {
            double square = 0;
            for (int k = 0; k < places.length; k++) {
                out[c][k] = layer.weights()[rows.index(channels[c], places[k])];
                square += out[c][k] * out[c][k];
            }
            double length = Math.sqrt(square);
            for (int k = 0; k < places.length && length > 0; k++) {
                out[c][k] /= length;
            }
        }
        return out;
    }

    private static int[] spread(int n) {
        int[] out = new int[Math.min(n, SAMPLED)];
        for (int i = 0; i < out.length; i++) {
            out[i] = (int) ((long) i * n / out.length);
        }
        return out;
    }

    /**
     * The median of the cosines, without their signs: a factor per channel, which nodes behind either layer may hold,
     * changes nothing.
     */
    private static double similarity(double[][] q, double[][] f) {
        List<Double> cosines = new ArrayList<>();
        for (int c = 0; c < q.length; c++) {
            double product = 0;
            boolean zero = true;
            for (int k = 0; k < q[c].length; k++) {
                product += q[c][k] * f[c][k];
                zero &= q[c][k] == 0;
            }
            if (!zero && !Double.isNaN(product)) {
                cosines.add(Math.abs(product));
            }
        }
        cosines.sort(null);
        int n = cosines.size();
        return n == 0 ? 0 : (cosines.get((n - 1) / 2) + cosines.get(n / 2)) / 2;
    }
}
