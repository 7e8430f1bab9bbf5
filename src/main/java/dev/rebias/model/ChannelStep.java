package dev.rebias.model;

import java.util.Arrays;
import java.util.Optional;

/**
 * A node that scales and shifts a tensor per channel by constants: {@code y = scale[c] * (x - center[c]) + shift[c]}.
 *
 * @param node the node
 * @param input the tensor that it is applied to
 * @param output the tensor that it makes
 * @param stored where the node is an Add or Sub, how its constant holds a bias; else empty
 */
record ChannelStep(
        Node node,
        String input,
        String output,
        double[] center,
        double[] scale,
        double[] shift,
        Optional<Layer.Apart> stored) {
    /** The value behind the step of one before it. */
    double apply(double value, int channel) {
        return scale[channel] * (value - center[channel]) + shift[channel];
    }

    /** The value before the step of one behind it; the scale must not be zero. */
    double undo(double value, int channel) {
        return (value - shift[channel]) / scale[channel] + center[channel];
    }

    /** Whether it does the same to all channels. */
    boolean isUniform() {
        return isUniform(center) && isUniform(scale) && isUniform(shift);
    }

    private static boolean isUniform(double[] values) {
        return Arrays.stream(values).allMatch(v -> v == values[0]);
    }

    /** Whether it scales no channel. */
    boolean shiftsOnly() {
        return Arrays.stream(scale).allMatch(s -> s == 1);
    }

    /** Whether it gives every value back as it was. */
    boolean changesNothing() {
        return shiftsOnly()
                && Arrays.stream(center).allMatch(c -> c == 0)
                && Arrays.stream(shift).allMatch(s -> s == 0);
    }

    /** Whether both compute the same from the same. */
    boolean sameAs(ChannelStep other) {
        return Arrays.equals(center, other.center)
                && Arrays.equals(scale, other.scale)
                && Arrays.equals(shift, other.shift);
    }
}
