package dev.rebias.op;

import java.util.Arrays;

/**
 * The values that a layer's bias can take where it is stored: what a mean error must be rounded to before it is a
 * correction.
 *
 * @param form which numbers the storage holds
 * @param steps the size of one step per channel; empty unless the form is {@code STEPS}
 * @param lowest by how many steps each channel's bias may move at the least, not above 0; empty unless the form is
 *     {@code STEPS}
 * @param highest by how many steps it may move at the most, not below 0; likewise
 */
public record BiasGrid(Form form, float[] steps, double[] lowest, double[] highest) {
    /** A correction that the storage cannot hold: the channel keeps its bias. */
    public static final double UNHOLDABLE = Double.POSITIVE_INFINITY;

    /** The largest finite IEEE half. */
    private static final double LARGEST_HALF = 65504;

    /** Bits of a half's significand, with the hidden one; and the exponent of its smallest step. */
    private static final int HALF_BITS = 11;

    private static final int HALF_LOWEST = -24;

    /** Which numbers a bias is stored as. */
    public enum Form {
        /** IEEE single precision. */
        FLOAT,
        /** IEEE half precision. */
        FLOAT16,
        /** Whole steps, within the range of an integer type. */
        STEPS
    }

    /** Every float. */
    public static final BiasGrid FLOAT = new BiasGrid(Form.FLOAT, new float[0], new double[0], new double[0]);

    /** Every half. */
    public static final BiasGrid FLOAT16 = new BiasGrid(Form.FLOAT16, new float[0], new double[0], new double[0]);

    public BiasGrid {
        int ranges = form == Form.STEPS ? steps.length : 0;
        if (lowest.length != ranges || highest.length != ranges || (form != Form.STEPS && steps.length > 0)) {
            throw new IllegalArgumentException("a " + form + " grid with " + steps.length + " steps, " + lowest.length
                    + " lowest and " + highest.length + " highest numbers of them");
        }
    }

    /** Whole steps, any number of them. */
    public static BiasGrid ofSteps(float[] steps) {
        double[] lowest = new double[steps.length];
        double[] highest = new double[steps.length];
        Arrays.fill(lowest, -Double.MAX_VALUE);
        Arrays.fill(highest, Double.MAX_VALUE);
        return new BiasGrid(Form.STEPS, steps, lowest, highest);
    }

    /**
     * The correction of one channel as it goes into the file.
     *
     * @param bias the channel's bias before
     * @param mean the mean error that is to be taken away
     * @return by how much the stored bias moves; {@link #UNHOLDABLE} where it has no value for that
     */
    public double correction(int channel, double bias, double mean) {
        return switch (form) {
            // A float bias holds b + delta rounded; delta is what it really moves by.
            case FLOAT -> (float) (bias + mean) - bias;
            case FLOAT16 -> half(bias + mean) - bias;
            case STEPS -> whole(channel, mean);
        };
    }

    private double whole(int channel, double mean) {
        if (mean == 0 || Double.isNaN(mean)) {
            return mean;
        }
        double moved = Math.rint(mean / steps[channel]);
        return moved >= lowest[channel] && moved <= highest[channel] ? moved * steps[channel] : UNHOLDABLE;
    }

    /** The nearest half, ties to even; infinite beyond the largest. */
    static double half(double value) {
        double size = Math.abs(value);
        if (!(size > 0)) {
            return value;
        }
        double step = Math.scalb(1.0, Math.max(Math.getExponent(size) + 1 - HALF_BITS, HALF_LOWEST));
        double rounded = Math.rint(value / step) * step;
        return Math.abs(rounded) > LARGEST_HALF ? UNHOLDABLE : rounded;
    }
}
