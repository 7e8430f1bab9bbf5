package dev.rebias.device;

/**
 * A layer's biases in both models and the sums from which a layer's correction and its errors follow, kept on the device in double precision (DESIGN.md section 3): per output
 * channel sum e, sum e^2, the sum of squared per-sample means, and of y_f what the report needs. Every sample's part is summed
 * on its own, in a fixed order, so results do not depend on the batch size.
 */
public interface ErrorMoments extends Measurement {
    /**
     * Adds a batch of errors computed from the difference of the weights: {@code e = error + (b_f - b_q)}, {@code y_q = output + b_q}.
     *
     * @param error FLOAT, the shape of the layer's output
     * @param output FLOAT, the same shape: the quantised layer's output without its bias
     * @param channelAxis the axis of length channels
     * @param batch the batch's number, from 0: batches may come in any order, and sums are made in that of their numbers
     * @param samples how many samples lie in the batch, along axis 0
     */
    void addError(Tensor error, Tensor output, int channelAxis, int batch, int samples);

    /**
     * Adds a batch of errors as the difference of two networks' outputs: {@code e = (reference + b_f) - (output + b_q)}; otherwise as {@link #addError}.
     *
     * @param reference FLOAT: the float layer's output without its bias
     */
    void addOutputs(Tensor reference, Tensor output, int channelAxis, int batch, int samples);
}
