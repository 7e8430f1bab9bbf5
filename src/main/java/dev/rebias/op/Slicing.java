package dev.rebias.op;

import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.Shape;
import java.util.Optional;

/**
 * ONNX Slice of data of a certain shape, as a walk: element (i, j, ..) of the output lies at {@code offset + i *
 * step[0] * stride[0] + ..} of the data.
 *
 * @param start per axis, the first index
 * @param step per axis, the distance between indices; not 0
 * @param output the output's shape
 */
public record Slicing(long[] start, long[] step, long[] output) {
    /**
     * Parses a node.
     *
     * @param starts values of the input starts; where the operator set has attributes instead (before 10), empty, and
     *     likewise the others
     */
    public static Slicing of(
            OnnxOp op,
            long[] data,
            Optional<long[]> starts,
            Optional<long[]> ends,
            Optional<long[]> axes,
            Optional<long[]> steps) {
        long[] from = starts.or(() -> attribute(op, "starts")).orElseThrow(() -> wrong("has no starts"));
        long[] to = ends.or(() -> attribute(op, "ends")).orElseThrow(() -> wrong("has no ends"));
        long[] named = axes.or(() -> attribute(op, "axes")).orElseGet(() -> first(from.length));
        if (to.length != from.length
                || named.length != from.length
                || (steps.isPresent() && steps.get().length != from.length)) {
            throw wrong("has " + from.length + " starts, " + to.length + " ends and " + named.length + " axes");
        }
        int[] along = Axes.distinct(named, data.length);
        long[] start = new long[data.length];
        long[] step = new long[data.length];
        long[] output = data.clone();
        java.util.Arrays.fill(step, 1);
        for (int i = 0; i < named.length; i++) {
            int axis = along[i];
            long size = data[axis];
            long s = steps.isPresent() ? steps.get()[i] : 1;
            if (s == 0 || (s < 0 && size == 0)) {
                throw wrong("has a step of " + s + " along an axis of size " + size);
            }
            // Steps longer than the axis take its first element alone.
            s = Math.max(-size - 1, Math.min(s, size + 1));
            long begin = from[i] < 0 ? from[i] + size : from[i];
            begin = Math.max(0, Math.min(begin, s < 0 ? size - 1 : size));
            long end;
            if (to[i] == Integer.MAX_VALUE || to[i] == Long.MAX_VALUE) {
                // To ONNX Runtime these mean that all is taken, whatever the direction.
                end = s < 0 ? -1 : size;
            } else {
                end = to[i] < 0 ? to[i] + size : to[i];
                end = Math.max(s < 0 ? -1 : 0, Math.min(end, size));
            }
            long distance = s < 0 ? begin - end : end - begin;
            boolean none = size == 0 || distance <= 0;
            step[axis] = s;
            start[axis] = none ? 0 : begin;
            // The first element, and one more for every whole step that stays before the end; no step is so long that
            // this overflows.
            output[axis] = none ? 0 : 1 + (s < 0 ? (1 - distance) / s : (distance - 1) / s);
        }
        return new Slicing(start, step, output);
    }

    private static UnsupportedException wrong(String what) {
        return new UnsupportedException("Slice " + what);
    }

    private static Optional<long[]> attribute(OnnxOp op, String name) {
        return Attributes.integers(op.node(), name)
                .map(l -> l.stream().mapToLong(Long::longValue).toArray());
    }

    private static long[] first(int n) {
        long[] axes = new long[n];
        for (int i = 0; i < n; i++) {
            axes[i] = i;
        }
        return axes;
    }

    @Override
    public String toString() {
        return "slice to " + Shape.text(output);
    }
}
