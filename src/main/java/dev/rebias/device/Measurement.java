package dev.rebias.device;

/** What is measured of a layer while samples go by, and the correction that follows from it. */
public interface Measurement extends AutoCloseable {
    /**
     * Turns what was measured into the correction, on the device: delta[c] = mean e, rounded to what the bias can hold: whole steps, or the difference of
     * two floats. Call once.
     */
    void solve();

    /**
     * The bias with the correction in it, bias[c] + delta[c], as FLOAT. Only after {@link #solve()}.
     *
     * @param shape the shape it takes to broadcast along the channels of the layer's output: [channels, 1, ..]
     * @return a tensor that lives as long as this measurement does
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
