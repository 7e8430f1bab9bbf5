package dev.rebias.device.cuda;

import java.util.Optional;

/**
 * Weights as whole numbers of a unit of their output channel, and these as 8-bit digits: w = unit * sum of 256^p
 * digit[p], each from -128 to 127.
 */
final class IntegerDigits {
    private final int[] values;
    private final double[] units;
    private final int perChannel;

    private IntegerDigits(int[] values, double[] units) {
        this.values = values;
        this.units = units;
        this.perChannel = values.length / units.length;
    }

    /**
     * Weights that are whole numbers.
     *
     * @param weights [channels, ..]
     * @param units what one stands for in each channel
     * @return empty if one is no whole number, or has more digits
     */
    static Optional<IntegerDigits> exact(float[] weights, double[] units, int planes) {
        int[] values = new int[weights.length];
        // Digits reach from -128 to 127, so the least number is 128/127 of the largest, below zero.
        int least = -largest(planes) / 127 * 128;
        for (int i = 0; i < values.length; i++) {
            values[i] = (int) weights[i];
            if (values[i] != weights[i] || values[i] < least || values[i] > largest(planes)) {
                return Optional.empty();
            }
        }
        return Optional.of(new IntegerDigits(values, units));
    }

    /**
     * The nearest whole numbers of units in which a channel's largest weight has all these digits: three are as near as
     * float32, two as 15 bits.
     *
     * @param weights [channels, ..]
     */
    static IntegerDigits nearest(double[] weights, int channels, int planes) {
        int perChannel = weights.length / channels;
        int[] values = new int[weights.length];
        double[] units = new double[channels];
        for (int c = 0; c < channels; c++) {
            double most = 0;
            for (int i = c * perChannel; i < (c + 1) * perChannel; i++) {
                most = Math.max(most, Math.abs(weights[i]));
            }
            // Where a weight is no number, or infinite, so is the unit, and whatever is made of it.
            units[c] = most / largest(planes);
            if (units[c] == 0) {
                units[c] = 1;
            }
            for (int i = c * perChannel; i < (c + 1) * perChannel; i++) {
                values[i] = (int) Math.rint(weights[i] / units[c]);
            }
        }
        return new IntegerDigits(values, units);
    }

    /** The largest number that so many digits hold. */
    private static int largest(int planes) {
        int all = 0;
        for (int p = 0; p < planes; p++) {
            all = all * 256 + 127;
        }
        return all;
    }

    /** Writes a number's digits, the last first, and tells where the next go. */
    static int split(int value, int planes, int[] to, int at) {
        int rest = value;
        for (int p = 0; p < planes; p++) {
            to[at + p] = (byte) rest;
            rest = (rest - (byte) rest) >> 8;
        }
        return at + planes;
    }

    int value(int i) {
        return values[i];
    }

    double unit(int channel) {
        return units[channel];
    }

    /** The sum of a channel's numbers. */
    long sum(int channel) {
        long sum = 0;
        for (int i = channel * perChannel; i < (channel + 1) * perChannel; i++) {
            sum += values[i];
        }
        return sum;
    }
}
