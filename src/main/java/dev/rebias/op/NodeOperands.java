package dev.rebias.op;

import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.Shape;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/** The operands of one node, as its {@linkplain NodeRules rules} ask for them. */
record NodeOperands(OnnxOp op, List<Optional<OperandSpec>> all) {
    NodeProto node() {
        return op.node();
    }

    boolean given(int i) {
        return i < all.size() && all.get(i).isPresent();
    }

    /** An operand that the operation cannot do without. */
    OperandSpec get(int i) {
        if (!given(i)) {
            throw wrong("lacks its input " + i);
        }
        return all.get(i).get();
    }

    long[] shape(int i) {
        return get(i).shape();
    }

    int rank(int i) {
        return shape(i).length;
    }

    /** The integers of an operand, empty where it is left out. */
    Optional<long[]> integers(int i) {
        return given(i)
                ? Optional.of(get(i).integers().orElseThrow(() -> wrong("needs integers as its input " + i)))
                : Optional.empty();
    }

    /** The integers that an input gives, or in older operator sets an attribute. */
    Optional<long[]> integers(int i, String attribute) {
        return integers(i).or(() -> Attributes.integers(node(), attribute)
                .map(l -> l.stream().mapToLong(Long::longValue).toArray()));
    }

    /** An axis named by an attribute, from 0 on. */
    int axis(long otherwise) {
        return Axes.of(Attributes.integer(node(), "axis", otherwise), shape(0));
    }

    /** Requires something of the operands. */
    void require(boolean holds, String what) {
        if (!holds) {
            throw wrong(what);
        }
    }

    UnsupportedException wrong(String what) {
        String shapes = all.stream()
                .map(o -> o.map(s -> s.type() + Shape.text(s.shape())).orElse("-"))
                .collect(Collectors.joining(", "));
        return new UnsupportedException(op.type() + " of " + shapes + " " + what);
    }
}
