package dev.rebias.samples;

import dev.rebias.tensor.ElementType;
import java.util.Arrays;
import java.util.stream.Collectors;

/**
 * What a model wants of one input.
 *
 * @param shape the dimensions, samples first; -1 where any size will do
 */
public record InputSpec(String name, ElementType type, long[] shape) {
    public InputSpec {
        shape = shape.clone();
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
