package dev.rebias.model;

import java.util.Arrays;
import java.util.List;

/**
 * What makes a layer's data: {@code data = pad(scale[c] * source + shift[c])}, c being the channels of the data.
 *
 * @param source the tensor that everything begins with
 * @param scale per channel
 * @param shift per channel
 * @param pads how many zeros are put around it, for a convolution: all begins, then all ends, one entry per spatial
 *     dimension each
 * @param nodes the nodes that do it, the first one first
 */
record Inlet(String source, double[] scale, double[] shift, List<Long> pads, List<Node> nodes) {
    /** By how much, relative to the largest, two of them may differ and yet be one: constants that were quantised. */
    private static final double SAME = 0.1;

    Inlet {
        pads = List.copyOf(pads);
        nodes = List.copyOf(nodes);
    }

    private boolean changesNoValue() {
        return Arrays.stream(scale).allMatch(s -> s == 1)
                && Arrays.stream(shift).allMatch(s -> s == 0);
    }

    /** Whether two do the same to the values, but for what a quantised constant is off by where both have such. */
    boolean likeValuesOf(Inlet other) {
        if (scale.length != other.scale.length) {
            return true; // layers of other groups, which are no pair
        }
        if (changesNoValue() || other.changesNoValue()) {
            return changesNoValue() && other.changesNoValue();
        }
        return alike(scale, other.scale) && alike(shift, other.shift);
    }

    private static boolean alike(double[] a, double[] b) {
        double largest = 0;
        double difference = 0;
        for (int i = 0; i < a.length; i++) {
            largest = Math.max(largest, Math.max(Math.abs(a[i]), Math.abs(b[i])));
            difference = Math.max(difference, Math.abs(a[i] - b[i]));
        }
        return difference <= SAME * largest;
    }

    /** The shape in which a value per channel broadcasts along data of that many spatial dimensions. */
    long[] channelShape(int spatial) {
        long[] shape = new long[spatial + 1];
        Arrays.fill(shape, 1);
        shape[0] = scale.length;
        return shape;
    }
}
