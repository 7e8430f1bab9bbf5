package dev.rebias.device.cpu;

/** Adds up products of unfolded rows, for one batch; for one thread. */
interface RowProducts extends AutoCloseable {
    /**
     * Adds one entry of a batch.
     *
     * @param p its elements, channels innermost
     * @param v the same of v; empty where there are none
     */
    void add(float[] p, float[] v);

    /** Adds what is still collected. */
    void finish();

    @Override
    void close();
}
