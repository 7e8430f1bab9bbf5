/**
 * What computes: a {@link dev.rebias.device.Device} uploads tensors, prepares operations, and makes sums
 * ({@link dev.rebias.device.Sums}, {@link dev.rebias.device.UnfoldedSums}) where the tensors live. Tensors are handles;
 * their values come back to the host only where a method says so. A device knows operations ({@code dev.rebias.op}),
 * not models or sweeps. A CUDA device is used by one thread; the CPU device may be used by several, each with its own
 * batch ({@link dev.rebias.device.BatchSizes}).
 */
package dev.rebias.device;
