package dev.rebias.model;

import dev.rebias.op.WeightGrid;
import java.util.Arrays;

/**
 * Where the weights of a quantised layer are stored, and which values they can take there: whole multiples of a step
 * each. Weights are numbered as the layer stores them, row-major.
 */
public final class WeightSite implements WeightGrid {
    /** How the values are stored. */
    enum Form {
        /** As the integers themselves: multiple plus zero point. */
        INTEGERS,
        /** As floats that lie on the grid, or that a quantiser in the file puts there. */
        FLOATS
    }

    private final String tensor;
    private final Form form;
    private final double[] multiples;
    /**
     * The step, the zero point and what the layer multiplies by beside them, each for runs of weights: see
     * {@link Runs}.
     */
    private final double[] steps;

    private final long[] zeros;
    private final Runs runs;
    private final double[] gains;
    private final WeightRows rows;
    private final long lowest;
    private final long highest;

    /**
     * Which entry of a scale a weight belongs to.
     *
     * @param inner weights that follow each other along the last axes share an entry
     * @param axis the length of the axis that entries run along
     * @param block how many places of that axis share an entry
     * @param entries how many entries the axis has
     * @param blocked whether places further out or in have entries of their own
     */
    record Runs(int inner, int axis, int block, int entries, boolean blocked) {
        /** One entry for all. */
        static final Runs ONE = new Runs(1, 1, 1, 1, false);

        int of(int weight) {
            int place = weight / inner % axis / block;
            return blocked ? (weight / inner / axis * entries + place) * inner + weight % inner : place;
        }
    }

    WeightSite(
            String tensor,
            Form form,
            double[] multiples,
            double[] steps,
            long[] zeros,
            Runs runs,
            double[] gains,
            WeightRows rows,
            long lowest,
            long highest) {
        this.tensor = tensor;
        this.form = form;
        this.multiples = multiples;
        this.steps = steps;
        this.zeros = zeros;
        this.runs = runs;
        this.gains = gains;
        this.rows = rows;
        this.lowest = lowest;
        this.highest = highest;
    }

    /** The same with integers of that many bits, where the type holds those from least to most. */
    WeightSite withBits(int bits, long least, long most) {
        long middle = least + (most - least + 1) / 2;
        // Of unsigned integers those around the middle, where that is every weight's zero point, and else those from 0
        // on.
        boolean centred = least < 0 || Arrays.stream(zeros).allMatch(z -> z == middle);
        long top = (1L << (bits - 1)) - 1;
        return new WeightSite(
                tensor,
                form,
                multiples,
                steps,
                zeros,
                runs,
                gains,
                rows,
                Math.max(least, centred ? middle - top : 0),
                Math.min(most, centred ? middle + top : (1L << bits) - 1));
    }

    String tensor() {
        return tensor;
    }

    Form form() {
        return form;
    }

    @Override
    public double[] multiples() {
        return multiples.clone();
    }

    @Override
    public double step(int weight) {
        return steps[runs.of(weight)] * gains[gains.length == 1 ? 0 : channel(weight)];
    }

    private int channel(int weight) {
        return rows.channel(weight);
    }

    private long zero(int weight) {
        return zeros[zeros.length == 1 ? 0 : runs.of(weight)];
    }

    @Override
    public double lowest(int weight) {
        return (double) lowest - zero(weight);
    }

    @Override
    public double highest(int weight) {
        return (double) highest - zero(weight);
    }

    /** What an integer tensor stores for these multiples. */
    long[] stored(double[] newMultiples) {
        long[] out = new long[newMultiples.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = (long) newMultiples[i] + zero(i);
        }
        return out;
    }

    /** What a tensor of floats stores for these multiples; a multiple that stays keeps its float. */
    float[] floats(double[] newMultiples, float[] old) {
        float[] out = old.clone();
        for (int i = 0; i < out.length; i++) {
            if (newMultiples[i] != multiples[i]) {
                out[i] = (float) (newMultiples[i] * steps[runs.of(i)]);
            }
        }
        return out;
    }

    /** Whether any weight moves. */
    boolean moves(double[] newMultiples) {
        return !Arrays.equals(newMultiples, multiples);
    }
}
