package dev.rebias.oracle;

import static dev.rebias.oracle.GraphBuilder.integer;
import static dev.rebias.oracle.GraphBuilder.list;
import static dev.rebias.oracle.GraphBuilder.text;

import java.util.Arrays;
import java.util.Random;

/** Random convolutions and poolings. */
final class RandomWindows {
    private RandomWindows() {}

    private static long[] several(NodeBuilder b, int n, int low, int high) {
        long[] values = new long[n];
        Arrays.setAll(values, i -> b.between(low, high));
        return values;
    }

    /** A window over n dimensions in nearly every way to say it. */
    private static void window(NodeBuilder b, int n, long[] kernel, boolean dilated, int mostPad) {
        if (b.chance(0.7)) {
            b.attribute(list("strides", several(b, n, 1, 3)));
        }
        if (dilated && b.chance(0.4)) {
            b.attribute(list("dilations", several(b, n, 1, 2)));
        }
        if (b.chance(0.2)) {
            b.attribute(text("auto_pad", b.one("SAME_UPPER", "SAME_LOWER", "VALID")));
        } else if (b.chance(0.7)) {
            long[] pads = new long[2 * n];
            Arrays.setAll(pads, i -> b.between(0, (int) Math.min(mostPad, kernel[i % n] - 1)));
            b.attribute(list("pads", pads));
        }
    }

    static RandomOperation convolution(Random random) {
        NodeBuilder b = new NodeBuilder(random, "Conv", 13);
        int n = b.between(1, 3);
        long group = b.one(1, 1, 2, 3);
        long in = group * b.between(1, 3);
        long out = group * b.between(1, 3);
        long[] data = several(b, n + 2, 5, 9);
        data[0] = b.between(1, 2);
        data[1] = in;
        long[] kernel = several(b, n, 1, 3);
        long[] weights = joined(out, in / group, kernel);
        b.variable(b.floats(data)).input(b.floats(weights));
        if (b.chance(0.5)) {
            b.input(b.floats(out));
        }
        window(b, n, kernel, true, 2);
        if (b.chance(0.5)) {
            b.attribute(list("kernel_shape", kernel));
        }
        return b.attribute(integer("group", group)).build(1);
    }

    private static long[] joined(long first, long second, long[] rest) {
        long[] out = new long[rest.length + 2];
        out[0] = first;
        out[1] = second;
        System.arraycopy(rest, 0, out, 2, rest.length);
        return out;
    }

    static RandomOperation transposed(Random random) {
        NodeBuilder b = new NodeBuilder(random, "ConvTranspose", 13);
        int n = b.between(1, 3);
        long group = b.one(1, 1, 2);
        long in = group * b.between(1, 3);
        long out = b.between(1, 3);
        long[] data = several(b, n + 2, 2, 6);
        data[0] = b.between(1, 2);
        data[1] = in;
        long[] kernel = several(b, n, 1, 4);
        long[] strides = several(b, n, 1, 3);
        b.variable(b.floats(data)).input(b.floats(joined(in, out, kernel)));
        if (b.chance(0.5)) {
            b.input(b.floats(out * group));
        }
        b.attribute(list("strides", strides)).attribute(integer("group", group));
        boolean dilated = b.chance(0.3);
        if (dilated) {
            b.attribute(list("dilations", several(b, n, 1, 2)));
        }
        if (b.chance(0.25)) {
            long[] sizes = new long[n];
            Arrays.setAll(sizes, i -> Math.max(1, strides[i] * (data[i + 2] - 1) + kernel[i] + b.between(-2, 4)));
            b.attribute(list("output_shape", sizes));
            if (b.chance(0.5)) {
                b.attribute(text("auto_pad", b.one("SAME_UPPER", "SAME_LOWER")));
            }
            return b.build(1);
        }
        if (b.chance(0.3)) {
            long[] more = new long[n];
            Arrays.setAll(more, i -> b.between(0, (int) strides[i] - 1));
            b.attribute(list("output_padding", more));
        }
        if (b.chance(0.2)) {
            b.attribute(text("auto_pad", b.one("SAME_UPPER", "SAME_LOWER", "VALID")));
        } else if (b.chance(0.5)) {
            long[] pads = new long[2 * n];
            Arrays.setAll(pads, i -> b.between(0, (int) Math.min(1, kernel[i % n] - 1)));
            b.attribute(list("pads", pads));
        }
        return b.build(1);
    }

    static RandomOperation pool(Random random) {
        boolean global = random.nextInt(5) == 0;
        boolean maximum = random.nextBoolean();
        String type = (global ? "Global" : "") + (maximum ? "MaxPool" : "AveragePool");
        NodeBuilder b = new NodeBuilder(random, type, maximum ? 12 : 19);
        int n = b.between(1, 3);
        long[] data = several(b, n + 2, 4, 9);
        data[0] = b.between(1, 2);
        data[1] = b.between(1, 3);
        b.variable(b.floats(data));
        if (global) {
            return b.build(1);
        }
        long[] kernel = several(b, n, 1, 3);
        b.attribute(list("kernel_shape", kernel));
        window(b, n, kernel, true, 1);
        if (b.chance(0.3)) {
            b.attribute(integer("ceil_mode", 1));
        }
        if (!maximum && b.chance(0.5)) {
            b.attribute(integer("count_include_pad", 1));
        }
        return b.build(1);
    }
}
