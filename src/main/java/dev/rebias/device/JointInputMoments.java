package dev.rebias.device;

/**
 * What the weights of a layer meet in both networks. With x_f and x_q the data of the two, {@code e = W_f x_f - W_q x_q + (b_f - b_q)}: its mean over samples and positions follows from the means of x_f
 * and of x_q, and the float network's need not be there at the same time as the quantised one's.
 */
public interface JointInputMoments extends InputMoments {
    /**
     * Adds a batch of the float layer's data; {@link #addInput} those of the quantised layer.
     *
     * @param reference FLOAT
     * @param batch the batch's number, from 0: batches may come in any order, and sums are made in that of their numbers
     * @param samples how many samples lie in the batch, along axis 0
     */
    void addReference(Tensor reference, int batch, int samples);
}
