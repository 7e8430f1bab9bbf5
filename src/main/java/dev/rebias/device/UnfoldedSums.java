package dev.rebias.device;

import java.util.List;

/**
 * Sums of products of two elements of a layer's unfolded input: its second moments, and where the float layer has an
 * input of its own the joint ones. Sums of integers are exact; sums of floats are added up in the order of batches, so
 * equal batches give equal bits. Several threads may add at once where the device lets several work.
 */
public interface UnfoldedSums extends AutoCloseable {
    /**
     * Adds a batch.
     *
     * @param tensors the layer's input, FLOAT or the integers of quantised data; before it the float layer's own input,
     *     FLOAT, where that has one
     * @param batch the batch's number, from 0, each once; those that are left out belong to others' sums
     * @param samples how many samples lie in the batch, along axis 0
     * @throws IllegalStateException after {@link #close}
     */
    void add(List<Tensor> tensors, int batch, int samples);

    /**
     * The sums of all that has been added; waits for it. Nothing may be added any more; asked again, they are the same.
     */
    UnfoldedTotals totals();

    @Override
    void close();
}
