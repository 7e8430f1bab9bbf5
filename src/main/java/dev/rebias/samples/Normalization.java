package dev.rebias.samples;

import dev.rebias.error.UsageException;
import dev.rebias.tensor.CodedTensor;

/**
 * How stored values become a FLOAT input's values: {@code (x / scale - mean[c]) / std[c]} in float32, c being the
 * position along the axis of the channels (axis 1, or that which has as many entries as there are values). mean and std
 * hold one value for all channels, or one for each.
 */
public record Normalization(float scale, float[] mean, float[] std) {
    /** Leaves values as they are. */
    public static final Normalization NONE = new Normalization(1, new float[] {0}, new float[] {1});

    /**
     * Checks the values.
     *
     * @throws UsageException if one is not finite, the scale or a std is 0, or there is no mean or std
     */
    public Normalization {
        mean = mean.clone();
        std = std.clone();
        if (!Float.isFinite(scale) || scale == 0) {
            throw new UsageException("scale " + scale + " is not possible: it must be a number other than 0");
        }
        for (float m : mean) {
            if (!Float.isFinite(m)) {
                throw new UsageException("mean " + m + " is not possible: it must be a finite number");
            }
        }
        for (float s : std) {
            if (!Float.isFinite(s) || s == 0) {
                throw new UsageException("std " + s + " is not possible: it must be a finite number other than 0");
            }
        }
        if (mean.length == 0 || std.length == 0) {
            throw new UsageException("mean and std need at least one value");
        }
    }

    boolean isPerChannel() {
        return mean.length > 1 || std.length > 1;
    }

    /** Whether there is one mean and std for all channels, or one for each of so many. */
    boolean fits(long channels) {
        return (mean.length == 1 || mean.length == channels) && (std.length == 1 || std.length == channels);
    }

    /** What bytes become: {@link CodedTensor#CODES} values for each channel, by the byte as a number from 0 to 255. */
    float[] table(int channels, boolean signed) {
        float[] table = new float[CodedTensor.CODES * channels];
        for (int i = 0; i < table.length; i++) {
            int code = i % CodedTensor.CODES;
            table[i] = apply(signed ? (byte) code : code, i / CodedTensor.CODES);
        }
        return table;
    }

    float apply(float x, int channel) {
        return (x / scale - mean[mean.length == 1 ? 0 : channel]) / std[std.length == 1 ? 0 : channel];
    }

    /** The stored value that becomes this one. */
    public float stored(float value, int channel) {
        return (value * std[std.length == 1 ? 0 : channel] + mean[mean.length == 1 ? 0 : channel]) * scale;
    }
}
