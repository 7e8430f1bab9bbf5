package dev.rebias.device.cpu.sums;

import dev.rebias.op.Unfolding;

/** Adds up products of unfolded rows; for one thread at a time. */
interface RowProducts extends AutoCloseable {
    /**
     * Adds one entry of a batch.
     *
     * @param places which of its elements make rows
     * @param p its elements, channels innermost
     * @param v the same of v; empty where there are none
     */
    void add(Unfolding.Places places, float[] p, float[] v);

    /** Adds what is still collected. */
    void finish();

    @Override
    void close();
}
