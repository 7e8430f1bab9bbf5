package dev.rebias.samples;

import dev.rebias.tensor.ElementType;
import java.util.Arrays;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * What a model wants of one input.
 *
 * @param type the type of the values before a quantisation
 * @param shape the dimensions, samples first; -1 where any size will do
 * @param channelsLast whether an image is [height, width, channels]; else [channels, height, width]
 * @param quantization where the model takes integers that stand for floats: how they follow from these
 */
public record InputSpec(
        String name, ElementType type, long[] shape, boolean channelsLast, Optional<Quantization> quantization) {
    public InputSpec {
        shape = shape.clone();
    }

    /** An input that takes values as they are. */
    public InputSpec(String name, ElementType type, long[] shape, boolean channelsLast) {
        this(name, type, shape, channelsLast, Optional.empty());
    }

    /** An input whose channels come first. */
    public InputSpec(String name, ElementType type, long[] shape) {
        this(name, type, shape, false);
    }

    @Override
    public long[] shape() {
        return shape.clone();
    }

    /** Whether the model fixes the whole shape, the number of samples too. */
    boolean isFixed() {
        return Arrays.stream(shape).allMatch(d -> d >= 0);
    }

    /** The axis of the channels in a shape of that many dimensions, at least 2. */
    int channelAxis(int rank) {
        return channelsLast ? rank - 1 : 1;
    }

    /**
     * The axis of samples of that shape that a mean and std for each channel belong to: that which has as many entries,
     * the usual axis of channels first, then the last one. No model leaves its channels open, so another axis than the
     * usual one must be of a fixed size where that one is. 0 where there is one mean and std for all; empty where no
     * axis fits.
     */
    OptionalInt channelAxis(long[] samples, Normalization normalization) {
        if (!normalization.isPerChannel()) {
            return OptionalInt.of(0);
        }
        int rank = samples.length;
        int usual = channelAxis(rank);
        boolean usualIsOpen = usual < rank && shape[usual] < 0;
        for (int axis : IntStream.concat(IntStream.of(usual, rank - 1), IntStream.range(1, rank))
                .toArray()) {
            boolean possible = axis == usual || usualIsOpen || shape[axis] >= 0;
            if (axis > 0 && axis < rank && possible && normalization.fits(samples[axis])) {
                return OptionalInt.of(axis);
            }
        }
        return OptionalInt.empty();
    }

    /** The shape as messages show it: {@code [N,3,?,224]}. */
    public String shapeText() {
        if (shape.length == 0) {
            return "[]";
        }
        String rest = Arrays.stream(shape)
                .skip(1)
                .mapToObj(d -> d < 0 ? "?" : Long.toString(d))
                .map(d -> "," + d)
                .collect(Collectors.joining());
        return "[N" + rest + "]";
    }
}
