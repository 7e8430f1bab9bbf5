package dev.rebias.device;

import java.util.List;

/**
 * Sums over samples that a device makes of tensors that pass by. They depend neither on the order in which samples come
 * nor on how these are divided into batches, as far as the tensors themselves do not; where the device lets several
 * threads work, several may add at once.
 */
public interface Sums extends AutoCloseable {
    /**
     * Adds a batch.
     *
     * @param tensors what the kind of sums says; they stay the caller's to close
     * @param samples how many samples lie in the batch, along axis 0
     */
    void add(List<Tensor> tensors, int samples);

    /**
     * Begins to bring the sums to the host, where they are elsewhere, without waiting for it; nothing may be added any
     * more.
     */
    default void bring() {
        // They are on the host.
    }

    @Override
    void close();
}
