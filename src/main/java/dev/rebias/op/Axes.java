package dev.rebias.op;

import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.Shape;
import java.util.Arrays;

/** Axes as ONNX writes them: negative ones count from the last. */
final class Axes {
    private Axes() {}

    /**
     * An axis as one from 0 on.
     *
     * @throws UnsupportedException if data of that shape have no such axis
     */
    static int of(long axis, long[] data) {
        if (axis < -data.length || axis >= data.length) {
            throw new UnsupportedException("axis " + axis + " is none of data of shape " + Shape.text(data));
        }
        return (int) (axis < 0 ? axis + data.length : axis);
    }

    /**
     * The same of several; each may be named once.
     *
     * @param rank of the data
     */
    static int[] distinct(long[] axes, int rank) {
        if (axes.length > rank) {
            throw new UnsupportedException(axes.length + " axes are named of data of rank " + rank);
        }
        int[] out = new int[axes.length];
        boolean[] seen = new boolean[rank];
        for (int i = 0; i < out.length; i++) {
            if (axes[i] < -rank || axes[i] >= rank) {
                throw new UnsupportedException("axis " + axes[i] + " is none of data of rank " + rank);
            }
            out[i] = (int) (axes[i] < 0 ? axes[i] + rank : axes[i]);
            if (seen[out[i]]) {
                throw new UnsupportedException("the axes " + Arrays.toString(axes) + " name one twice");
            }
            seen[out[i]] = true;
        }
        return out;
    }
}
