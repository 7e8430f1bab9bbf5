package dev.rebias.oracle;

import static dev.rebias.oracle.GraphBuilder.integer;
import static dev.rebias.oracle.GraphBuilder.list;
import static dev.rebias.oracle.GraphBuilder.real;
import static dev.rebias.oracle.GraphBuilder.text;

import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.LongStream;

/** Random operations that move values, and resize them. */
final class RandomMoves {
    private RandomMoves() {}

    private static ElementType anyType(NodeBuilder b) {
        return b.one(
                ElementType.FLOAT,
                ElementType.FLOAT,
                ElementType.FLOAT,
                ElementType.UINT8,
                ElementType.INT8,
                ElementType.INT64,
                ElementType.BOOL);
    }

    static RandomOperation slice(Random random) {
        NodeBuilder b = new NodeBuilder(random, "Slice", random.nextInt(5) == 0 ? 9 : 13);
        long[] shape = b.shape(b.between(1, 5));
        int n = b.between(1, shape.length);
        long[] axes = Arrays.copyOf(b.order(shape.length), n);
        long[] starts = new long[n];
        long[] ends = new long[n];
        long[] steps = new long[n];
        for (int i = 0; i < n; i++) {
            int size = (int) shape[(int) axes[i]];
            starts[i] = b.chance(0.1) ? b.one(-1000L, 1000L, Long.MIN_VALUE) : b.between(-size - 2, size + 2);
            ends[i] = b.chance(0.3)
                    ? b.one((long) Integer.MAX_VALUE, Long.MAX_VALUE, (long) Integer.MIN_VALUE, Long.MIN_VALUE)
                    : b.between(-size - 2, size + 2);
            steps[i] = b.opset() < 10 ? 1 : b.one(1L, 1L, 2L, 3L, -1L, -1L, -2L, (long) Integer.MAX_VALUE);
            axes[i] = b.chance(0.2) ? axes[i] - shape.length : axes[i];
        }
        b.variable(b.numbers(anyType(b), 0, 99, shape));
        if (b.opset() < 10) {
            return b.attribute(list("starts", starts))
                    .attribute(list("ends", ends))
                    .attribute(list("axes", axes))
                    .build(1);
        }
        return b.integers(starts).integers(ends).integers(axes).integers(steps).build(1);
    }

    static RandomOperation split(Random random) {
        NodeBuilder b = new NodeBuilder(random, "Split", random.nextBoolean() ? 11 : 13);
        long[] shape = b.shape(b.between(1, 5));
        int axis = b.axis(shape.length);
        int at = axis < 0 ? axis + shape.length : axis;
        int parts = b.between(1, 4);
        boolean equal = b.chance(0.4);
        long[] sizes = new long[parts];
        long same = b.between(1, 3);
        Arrays.setAll(sizes, i -> equal ? same : b.between(0, 4));
        shape[at] = LongStream.of(sizes).sum();
        b.variable(b.numbers(anyType(b), 0, 99, shape)).attribute(integer("axis", axis));
        if (!equal) {
            b.integers("split", 13, sizes);
        }
        return b.build(parts);
    }

    static RandomOperation concat(Random random) {
        NodeBuilder b = new NodeBuilder(random, "Concat", 13);
        long[] shape = b.shape(b.between(1, 5));
        int axis = b.axis(shape.length);
        ElementType type = anyType(b);
        b.variable(b.numbers(type, 0, 99, shape));
        for (int i = b.between(0, 3); i > 0; i--) {
            long[] other = shape.clone();
            other[axis < 0 ? axis + shape.length : axis] = b.between(0, 4);
            b.input(b.numbers(type, 0, 99, other));
        }
        return b.attribute(integer("axis", axis)).build(1);
    }

    static RandomOperation transpose(Random random) {
        NodeBuilder b = new NodeBuilder(random, "Transpose", 13);
        long[] shape = b.shape(b.between(0, 6));
        b.variable(b.numbers(anyType(b), 0, 99, shape));
        return (b.chance(0.8) ? b.attribute(list("perm", b.order(shape.length))) : b).build(1);
    }

    static RandomOperation view(Random random) {
        String type =
                new String[] {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"}[random.nextInt(6)];
        NodeBuilder b = new NodeBuilder(random, type, random.nextBoolean() ? 11 : 14);
        long[] shape = b.shape(b.between(1, 4));
        HostTensor x = b.numbers(type.equals("Dropout") ? ElementType.FLOAT : anyType(b), 0, 99, shape);
        switch (type) {
            case "Reshape" -> {
                long[] wanted = b.chance(0.5) ? new long[] {-1} : new long[] {1, 0, -1};
                boolean fits = wanted.length == 1 || shape.length > 1;
                boolean empty = x.elements() == 0;
                b.variable(x).integers(fits && !empty ? wanted : shape);
            }
            case "Flatten" ->
                b.variable(x).attribute(integer("axis", b.between(b.opset() < 11 ? 0 : -shape.length, shape.length)));
            case "Squeeze" -> {
                int axis = b.axis(shape.length);
                shape[axis < 0 ? axis + shape.length : axis] = 1;
                b.variable(b.numbers(x.type(), 0, 99, shape));
                if (b.chance(0.7)) {
                    b.integers("axes", 13, axis);
                }
            }
            case "Unsqueeze" -> {
                b.variable(x);
                b.integers("axes", 13, b.axis(shape.length + 1));
            }
            default -> b.variable(x);
        }
        return b.build(1);
    }

    static RandomOperation expand(Random random) {
        boolean tile = random.nextInt(3) == 0;
        NodeBuilder b = new NodeBuilder(random, tile ? "Tile" : "Expand", 13);
        long[] shape = b.shape(b.between(1, 4));
        if (tile) {
            long[] repeats = new long[shape.length];
            Arrays.setAll(repeats, i -> b.between(0, 3));
            return b.variable(b.numbers(b.one(ElementType.FLOAT, ElementType.INT64), 0, 99, shape))
                    .integers(repeats)
                    .build(1);
        }
        long[] from = b.broadcastable(shape);
        return b.variable(b.numbers(b.one(ElementType.FLOAT, ElementType.INT64, ElementType.BOOL), 0, 99, from))
                .integers(b.chance(0.5) ? shape : b.broadcastable(shape))
                .build(1);
    }

    static RandomOperation gather(Random random) {
        NodeBuilder b = new NodeBuilder(random, "Gather", 13);
        long[] shape = b.shape(b.between(1, 4));
        int axis = b.axis(shape.length);
        int at = axis < 0 ? axis + shape.length : axis;
        shape[at] = Math.max(1, shape[at]);
        HostTensor index = b.numbers(
                b.one(ElementType.INT64, ElementType.INT32),
                (double) -shape[at],
                shape[at] - 1.0,
                b.shape(b.between(0, 3)));
        HostTensor data = b.numbers(anyType(b), 0, 99, shape);
        boolean table = b.chance(0.3);
        return (table ? b.constant(data).variable(index) : b.variable(data).input(index))
                .attribute(integer("axis", axis))
                .build(1);
    }

    static RandomOperation gatherElements(Random random) {
        NodeBuilder b = new NodeBuilder(random, "GatherElements", 13);
        long[] shape = b.shape(b.between(1, 4));
        Arrays.setAll(shape, i -> Math.max(1, shape[i]));
        int axis = b.axis(shape.length);
        int at = axis < 0 ? axis + shape.length : axis;
        long[] index = shape.clone();
        for (int i = 0; i < index.length; i++) {
            index[i] = i == at ? b.between(1, 9) : b.between(1, (int) shape[i]);
        }
        return b.variable(b.numbers(b.one(ElementType.FLOAT, ElementType.UINT8, ElementType.INT64), 0, 99, shape))
                .input(b.numbers(
                        b.one(ElementType.INT64, ElementType.INT32), (double) -shape[at], shape[at] - 1.0, index))
                .attribute(integer("axis", axis))
                .build(1);
    }

    static RandomOperation pad(Random random) {
        NodeBuilder b = new NodeBuilder(random, "Pad", random.nextInt(4) == 0 ? 10 : 13);
        long[] shape = b.shape(b.between(1, 5));
        Arrays.setAll(shape, i -> Math.max(2, shape[i]));
        String mode = b.one("constant", "edge", "reflect");
        long[] pads = new long[2 * shape.length];
        for (int i = 0; i < pads.length; i++) {
            int size = (int) shape[i % shape.length];
            pads[i] = b.between(mode.equals("constant") ? -1 : 0, mode.equals("reflect") ? size - 1 : 3);
        }
        for (int i = 0; i < shape.length; i++) {
            if (shape[i] + pads[i] + pads[shape.length + i] < 1) {
                pads[i] = 0;
            }
        }
        b.variable(b.floats(shape)).attribute(text("mode", mode));
        if (b.opset() < 11) {
            return b.attribute(list("pads", pads))
                    .attribute(real("value", random.nextFloat()))
                    .build(1);
        }
        b.integers(pads);
        return (b.chance(0.5) && mode.equals("constant") ? b.input(b.floats()) : b).build(1);
    }

    static RandomOperation resize(Random random) {
        NodeBuilder b = new NodeBuilder(random, "Resize", pick(random, 10, 11, 13, 18));
        String mode = b.opset() < 11 ? b.one("nearest", "linear") : b.one("nearest", "linear", "cubic");
        long[] shape = {b.between(1, 2), b.between(1, 3), b.between(1, 7), b.between(1, 7)};
        float[] scales = {1, 1, b.one(0.5f, 0.6f, 1f, 1.5f, 2f, 3f, 0.8f), b.one(0.5f, 0.7f, 1f, 1.3f, 2f, 2.5f)};
        for (int i = 2; i < 4; i++) {
            scales[i] = shape[i] * scales[i] < 1 ? 1 : scales[i];
        }
        b.variable(b.floats(shape)).attribute(text("mode", mode));
        HostTensor factors = HostTensor.of(scales, scales.length);
        if (b.opset() < 11) {
            return b.input(factors).build(1);
        }
        String coordinates = b.one("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners");
        b.attribute(text("coordinate_transformation_mode", coordinates));
        if (mode.equals("nearest")) {
            b.attribute(text("nearest_mode", b.one("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")));
        }
        if (mode.equals("cubic") && b.chance(0.5)) {
            b.attribute(real("cubic_coeff_a", -0.5f)).attribute(integer("exclude_outside", random.nextInt(2)));
        }
        if (b.opset() < 13) {
            b.constant(HostTensor.zeros(ElementType.FLOAT, 0));
        } else {
            b.absent();
        }
        if (b.chance(0.5)) {
            return b.input(factors).build(1);
        }
        long[] sizes = {shape[0], shape[1], b.between(1, 12), b.between(1, 12)};
        if (b.opset() < 13) {
            b.constant(HostTensor.zeros(ElementType.FLOAT, 0));
        } else {
            b.absent();
        }
        return b.integers(sizes).build(1);
    }

    private static int pick(Random random, int... of) {
        return of[random.nextInt(of.length)];
    }

    static RandomOperation blocks(Random random) {
        boolean deep = random.nextBoolean();
        NodeBuilder b = new NodeBuilder(random, deep ? "DepthToSpace" : "SpaceToDepth", 13);
        int size = b.between(1, 3);
        int square = deep ? size * size : 1;
        int side = deep ? 1 : size;
        long[] shape = {
            b.between(1, 2),
            (long) square * b.between(1, 3),
            (long) side * b.between(1, 4),
            (long) side * b.between(1, 3)
        };
        b.variable(b.floats(shape)).attribute(integer("blocksize", size));
        return (deep && b.chance(0.5) ? b.attribute(text("mode", b.one("DCR", "CRD"))) : b).build(1);
    }
}
