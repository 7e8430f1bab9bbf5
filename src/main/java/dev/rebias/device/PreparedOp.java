package dev.rebias.device;

import java.util.List;

/**
 * An operation made ready on a device: constants uploaded, whatever depends on input shapes cached. Closing it frees
 * all of that.
 */
public interface PreparedOp extends AutoCloseable {
    /**
     * Runs the operation.
     *
     * @param variables the values of its {@link Operand.Variable} operands, in order; they stay the caller's
     * @return its outputs, in order, which become the caller's
     * @throws dev.rebias.error.UnsupportedException if the operation rejects these inputs
     */
    List<Tensor> run(List<Tensor> variables);

    @Override
    void close();
}
