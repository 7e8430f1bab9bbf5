package dev.rebias.samples;

import dev.rebias.tensor.ElementType;
import java.util.Arrays;
import java.util.stream.Collectors;

/**
 * What a model wants of one input.
 *
 * @param shape the dimensions, samples first; -1 where any size will do
 * @param channelsLast whether an image is [height, width, channels]; else [channels, height, width]
 */
public record InputSpec(String name, ElementType type, long[] shape, boolean channelsLast) {
    public InputSpec {
        shape = shape.clone();
    }

    /** An input whose channels come first. */
    public InputSpec(String name, ElementType type, long[] shape) {
        this(name, type, shape, false);
    }

    /** The axis of the channels in a shape of that many dimensions, at least 2. */
    int channelAxis(int rank) {
        return channelsLast ? rank - 1 : 1;
    }

    /** The shape as messages show it: {@code [N,3,?,224]}. */
    public String shapeText() {
        String rest = Arrays.stream(shape)
                .skip(1)
                .mapToObj(d -> d < 0 ? "?" : Long.toString(d))
                .map(d -> "," + d)
                .collect(Collectors.joining());
        return "[N" + rest + "]";
    }
}
