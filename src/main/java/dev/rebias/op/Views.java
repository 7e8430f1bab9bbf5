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

/**
 * ONNX operations that give the same elements, in the same order, another shape: Reshape, Flatten, Squeeze, Unsqueeze,
 * Identity, Dropout.
 */
public final class Views {
    /** The op types that {@link #shape} knows. */
    public static final Set<String> TYPES = Set.of("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout");

    private Views() {}

    /**
     * Whether the third input of a Dropout says that the model is not being trained, which would make its output
     * another every time.
     */
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
                        second.or(() -> list(node, "shape")).orElseThrow(() -> missing(op, "a shape")),
                        Attributes.integer(node, "allowzero", 0) != 0);
            case "Flatten" -> {
                long axis = Attributes.integer(node, "axis", 1);
                // The rank itself is allowed: then all is before the axis.
                int at = axis == data.length ? data.length : Axes.of(axis, data);
                yield new long[] {Shape.elements(data, 0, at), Shape.elements(data, at, data.length)};
            }
            case "Squeeze" -> squeezed(data, second.or(() -> list(node, "axes")));
            case "Unsqueeze" ->
                unsqueezed(data, second.or(() -> list(node, "axes")).orElseThrow(() -> missing(op, "axes")));
            default -> data;
        };
    }

    private static UnsupportedException missing(OnnxOp op, String what) {
        return new UnsupportedException(op.type() + " needs " + what + ", as integers");
    }

    private static Optional<long[]> list(NodeProto node, String attribute) {
        return Attributes.integers(node, attribute)
                .map(l -> l.stream().mapToLong(Long::longValue).toArray());
    }

    private static long[] reshaped(long[] data, long[] wanted, boolean zeroIsZero) {
        long[] out = wanted.clone();
        int open = -1;
        long known = 1;
        boolean fits = true;
        long elements = Shape.elements(data);
        for (int i = 0; i < out.length; i++) {
            if (out[i] == 0 && !zeroIsZero) {
                fits &= i < data.length;
                out[i] = i < data.length ? data[i] : 0;
            }
            if (out[i] < 0) {
                fits &= open < 0 && out[i] == -1;
                open = i;
            } else {
                known = out[i] > 0 && known > Long.MAX_VALUE / out[i] ? Long.MAX_VALUE : known * out[i];
            }
        }
        if (open >= 0 && known > 0) {
            out[open] = elements / known;
            known *= out[open];
        }
        if (!fits || (open >= 0 && known == 0) || known != elements) {
            throw new UnsupportedException(
                    "data of shape " + Shape.text(data) + " cannot be reshaped to " + Shape.text(wanted));
        }
        return out;
    }

    private static long[] squeezed(long[] data, Optional<long[]> axes) {
        Set<Integer> gone = new TreeSet<>();
        if (axes.isPresent()) {
            for (int a : Axes.distinct(axes.get(), data.length)) {
                gone.add(a);
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
        for (int a : Axes.distinct(axes, rank)) {
            added.add(a);
        }
        long[] out = new long[rank];
        int next = 0;
        for (int i = 0; i < rank; i++) {
            out[i] = added.contains(i) ? 1 : data[next++];
        }
        return out;
    }
}
