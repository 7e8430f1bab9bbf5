package dev.rebias.device.cpu.sums;

import dev.rebias.device.UnfoldedTotals;
import dev.rebias.device.WeightError;
import dev.rebias.op.Unfolding;
import java.util.Arrays;

/**
 * Products of rows of depthwise layers: for each pair of taps a vector loop along the channels, in floats for as many
 * rows as these are exact for integers.
 */
final class DepthwiseProducts implements RowProducts {
    private final Unfolding unfolding;
    private final boolean joint;
    private final UnfoldedTotals to;
    private final int channels;
    private final int taps;
    private final int multiplier;
    /**
     * [taps, taps, channels] of p p, of which those with the second tap not before the first are filled; then of p v.
     */
    private final float[] products;

    private final float[] crossed;
    private final float[] sums;
    private final float[] differences;
    /** W_f, [multiplier, taps, channels]. */
    private final float[][] references;

    private final float[] output;
    private int filled;

    DepthwiseProducts(WeightError layer, Unfolding unfolding, boolean joint, UnfoldedTotals to) {
        this.unfolding = unfolding;
        this.joint = joint;
        this.to = to;
        this.channels = unfolding.groups();
        this.taps = unfolding.taps();
        this.multiplier = unfolding.channelsPerGroup();
        this.products = new float[taps * taps * channels];
        this.crossed = new float[joint ? products.length : 0];
        this.sums = new float[taps * channels];
        this.differences = new float[joint ? sums.length : 0];
        this.output = new float[channels];
        this.references = new float[joint ? multiplier : 0][taps * channels];
        for (int m = 0; m < references.length; m++) {
            for (int t = 0; t < taps; t++) {
                for (int g = 0; g < channels; g++) {
                    int at = unfolding.weight(g * multiplier + m, t);
                    references[m][t * channels + g] = (float) (layer.reference()[at] / layer.scale());
                }
            }
        }
    }

    @Override
    public void add(Unfolding.Places places, float[] p, float[] v) {
        for (int position = 0; position < places.positions(); position++) {
            for (int t = 0; t < taps; t++) {
                int a = source(places, position, t);
                if (a < 0) {
                    continue;
                }
                add(p, a * channels, sums, t * channels, channels);
                for (int s = t; s < taps; s++) {
                    int b = source(places, position, s);
                    if (b >= 0) {
                        multiply(p, a * channels, p, b * channels, products, (t * taps + s) * channels, channels);
                    }
                }
                if (joint) {
                    add(v, a * channels, differences, t * channels, channels);
                    for (int s = 0; s < taps; s++) {
                        int b = source(places, position, s);
                        if (b >= 0) {
                            multiply(p, a * channels, v, b * channels, crossed, (t * taps + s) * channels, channels);
                        }
                    }
                }
            }
            for (int m = 0; m < references.length; m++) {
                addOutputs(places, v, position, m);
            }
            if (++filled == CpuUnfoldedSums.ROWS) {
                finish();
            }
        }
    }

    private int source(Unfolding.Places places, int position, int tap) {
        return places.sources().length == 0 ? position : places.sources()[position * taps + tap];
    }

    private static void add(float[] x, int from, float[] to, int at, int n) {
        for (int i = 0; i < n; i++) {
            to[at + i] += x[from + i];
        }
    }

    private static void multiply(float[] x, int fromX, float[] y, int fromY, float[] to, int at, int n) {
        for (int i = 0; i < n; i++) {
            to[at + i] += x[fromX + i] * y[fromY + i];
        }
    }

    private void addOutputs(Unfolding.Places places, float[] v, int position, int m) {
        Arrays.fill(output, 0);
        for (int t = 0; t < taps; t++) {
            int a = source(places, position, t);
            if (a >= 0) {
                multiply(v, a * channels, references[m], t * channels, output, 0, channels);
            }
        }
        for (int g = 0; g < channels; g++) {
            to.references()[g * multiplier + m] += output[g];
            to.squares()[g * multiplier + m] += (double) output[g] * output[g];
        }
    }

    @Override
    public void finish() {
        for (int g = 0; g < unfolding.groups(); g++) {
            for (int t = 0; t < taps; t++) {
                to.sums()[g][t] += sums[t * channels + g];
                for (int s = t; s < taps; s++) {
                    float product = products[(t * taps + s) * channels + g];
                    to.products()[g][t * taps + s] += product;
                    to.products()[g][s * taps + t] += s == t ? 0 : product;
                }
                if (joint) {
                    to.differences()[g][t] += differences[t * channels + g];
                    for (int s = 0; s < taps; s++) {
                        to.crossed()[g][t * taps + s] += crossed[(t * taps + s) * channels + g];
                    }
                }
            }
        }
        Arrays.fill(products, 0);
        Arrays.fill(crossed, 0);
        Arrays.fill(sums, 0);
        Arrays.fill(differences, 0);
        filled = 0;
    }

    @Override
    public void close() {
        // Its arrays are the collector's.
    }
}
