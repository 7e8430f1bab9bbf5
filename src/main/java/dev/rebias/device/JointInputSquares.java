package dev.rebias.device;

/**
 * Means and products of what a layer's weights meet in both networks. With x_f and x_q the data of the two, {@code e = W_f (x_f - x_q) + (W_f - W_q) x_q + (b_f - b_q)}: the means of e and of e^2 over samples
 * and positions follow from means and products of the columns of x_f - x_q and x_q, and no output of either layer is needed.
 */
public interface JointInputSquares extends Measurement {
    /**
     * Adds a batch of both layers' data.
     *
     * @param reference FLOAT: the float layer's
     * @param data the integers of the quantised layer's, of the same shape
     * @param batch the batch's number, from 0: batches may come in any order, and sums are made in that of their numbers
     * @param samples how many samples lie in the batch, along axis 0
     */
    void addInputs(Tensor reference, Tensor data, int batch, int samples);
}
