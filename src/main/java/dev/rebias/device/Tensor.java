package dev.rebias.device;

import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;

/**
 * A handle to a dense tensor that lives on a device. Closing it frees its memory; close is idempotent, and a closed
 * tensor may not be used. Not safe for use by several threads.
 */
public interface Tensor extends AutoCloseable {
    ElementType type();

    /** The dimensions, outermost first; a copy. */
    long[] shape();

    /** The size of its elements in bytes. */
    default long bytes() {
        return Shape.elements(shape()) * type().bytes();
    }

    @Override
    void close();
}
