package dev.rebias.device;

/**
 * A layer's biases in both models and the sums from which a layer's correction and its errors follow, kept on the device in double precision (DESIGN.md section 3): per output
 * channel sum e, sum e^2, the sum of squared per-sample means, and of y_f what the report needs. Every sample's part is summed
 * on its own, in a fixed order, so results do not depend on the batch size.
 */
public interface ErrorMoments extends AutoCloseable {
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

    /**
     * Turns the sums into the correction, on the device: delta[c] = mean e, rounded to what the bias can hold: whole steps, or the difference of
     * two floats. Call once.
     */
    void solve();

    /**
     * The bias with the correction in it, bias[c] + delta[c], as FLOAT. Only after {@link #solve()}.
     *
     * @param shape the shape it takes to broadcast along the channels of the layer's output: [channels, 1, ..]
     * @return a tensor that lives as long as these moments do
     */
    Tensor correctedBias(long... shape);

    /**
     * Reads the results on the host. Only after {@link #solve()}.
     *
     * @param perChannel whether also statistics of single channels are wanted, which are more bytes to bring back
     */
    Moments read(boolean perChannel);

    @Override
    void close();
}
