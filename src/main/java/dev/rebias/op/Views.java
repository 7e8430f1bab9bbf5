package dev.rebias.op;

import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/** ONNX operations that give the same elements, in the same order, another shape: Reshape, Flatten, Squeeze, Unsqueeze, Identity, Dropout. */
public final class Views {
    /** The op types that {@link #shape} knows. */
    public static final Set<String> TYPES = Set.of("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout");

    private Views() {}

    /** Whether the third input of a Dropout says that the model is not being trained, which would make its output another every time. */
    public static boolean isFalse(HostTensor training) {
        return training.type() == ElementType.BOOL
                && training.elements() == 1
                && training.bytes().get(0) == 0;
    }

    /**
     * The shape of the output.
     *
     * @param second the values of the second input (shape or axes), where the node has one
     * @throws UnsupportedException if it does not fit the data
     */
    public static long[] shape(OnnxOp op, long[] data, Optional<long[]> second) {
        NodeProto node = op.node();
        return switch (node.getOpType()) {
            case "Reshape" ->
                reshaped(
                        data,
                        second.or(() -> list(node, "shape")).orElseThrow(),
                        Attributes.integer(node, "allowzero", 0) != 0);
            case "Flatten" -> {
                int axis = Math.toIntExact(Attributes.integer(node, "axis", 1));
                int at = axis < 0 ? axis + data.length : axis;
                yield new long[] {Shape.elements(data, 0, at), Shape.elements(data, at, data.length)};
            }
            case "Squeeze" -> squeezed(data, second.or(() -> list(node, "axes")));
            case "Unsqueeze" ->
                unsqueezed(data, second.or(() -> list(node, "axes")).orElseThrow());
            default -> data;
        };
    }

    private static Optional<long[]> list(NodeProto node, String attribute) {
        return Attributes.integers(node, attribute)
                .map(l -> l.stream().mapToLong(Long::longValue).toArray());
    }

    private static long[] reshaped(long[] data, long[] wanted, boolean zeroIsZero) {
        long[] out = wanted.clone();
        int open = -1;
        long known = 1;
        for (int i = 0; i < out.length; i++) {
            if (out[i] == 0 && !zeroIsZero && i < data.length) {
                out[i] = data[i];
            }
            if (out[i] < 0) {
                open = i;
            } else {
                known *= out[i];
            }
        }
        long elements = Shape.elements(data);
        if (open >= 0 && known > 0) {
            out[open] = elements / known;
        }
        if ((open >= 0 && known == 0) || Shape.elements(out) != elements) {
            throw new UnsupportedException(
                    "data of shape " + Shape.text(data) + " cannot be reshaped to " + Shape.text(wanted));
        }
        return out;
    }

    private static long[] squeezed(long[] data, Optional<long[]> axes) {
        Set<Integer> gone = new TreeSet<>();
        if (axes.isPresent()) {
            for (long a : axes.get()) {
                gone.add((int) (a < 0 ? a + data.length : a));
            }
        } else {
            for (int i = 0; i < data.length; i++) {
                if (data[i] == 1) {
                    gone.add(i);
                }
            }
        }
        List<Long> out = new ArrayList<>();
        for (int i = 0; i < data.length; i++) {
            if (!gone.contains(i)) {
                out.add(data[i]);
            } else if (data[i] != 1) {
                throw new UnsupportedException("axis " + i + " of data of shape " + Shape.text(data)
                        + " cannot be squeezed: its size is not 1");
            }
        }
        return out.stream().mapToLong(Long::longValue).toArray();
    }

    private static long[] unsqueezed(long[] data, long[] axes) {
        int rank = data.length + axes.length;
        Set<Integer> added = new TreeSet<>();
        for (long a : axes) {
            added.add((int) (a < 0 ? a + rank : a));
        }
        long[] out = new long[rank];
        int next = 0;
        for (int i = 0; i < rank; i++) {
            out[i] = added.contains(i) ? 1 : data[next++];
        }
        return out;
    }
}
