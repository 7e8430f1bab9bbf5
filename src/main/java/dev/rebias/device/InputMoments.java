package dev.rebias.device;

/**
 * The mean of what a layer's weights meet: for every input channel and kernel element (tap) the mean, over samples and output positions, of the padded, strided, dilated input
 * there. A layer is linear, so its mean error is {@code sum over taps of (W_f - W_q) mean + (b_f - b_q)}, exactly what {@link ErrorMoments} finds by computing every
 * error, but without a second convolution. The errors' squares follow in the same way from the means of products of two inputs ({@link Device#inputSquares}), where these are taken.
 */
public interface InputMoments extends Measurement {
    /**
     * Adds a batch of the layer's data.
     *
     * @param data FLOAT, or the integers of quantised data
     * @param batch the batch's number, from 0: batches may come in any order, and sums are made in that of their numbers
     * @param samples how many samples lie in the batch, along axis 0
     */
    void addInput(Tensor data, int batch, int samples);
}
