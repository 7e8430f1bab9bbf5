package dev.rebias.device;

/**
 * The batches that suit a device.
 *
 * @param threads how many threads may work on batches of their own at once; 1 where a session is for one thread
 * @param usual how many samples a batch has where nobody says how many
 * @param outputBytes what a layer's output for a batch should take at most; {@link Long#MAX_VALUE} where its size does
 *     not matter
 */
public record BatchSizes(int threads, int usual, long outputBytes) {
    /**
     * The batch size that suits the device.
     *
     * @param wanted the most samples that a batch may have
     * @param sampleBytes the size of what a layer makes of one sample, on average
     * @return from 1 to wanted
     */
    public int best(int wanted, long sampleBytes) {
        return (int) Math.max(1, Math.min(wanted, outputBytes / Math.max(1, sampleBytes)));
    }
}
