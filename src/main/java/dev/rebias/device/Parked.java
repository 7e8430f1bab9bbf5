package dev.rebias.device;

import dev.rebias.tensor.HostTensor;
import java.util.function.Function;

/**
 * A tensor's elements away from the device.
 *
 * @param copy whether the elements are a copy; else they are the tensor's own memory, which is to be read before the
 *     tensor is closed
 * @param restore makes the tensor again, from elements of the same type and shape; when it returns, these may be
 *     written over
 */
public record Parked(HostTensor elements, boolean copy, Function<HostTensor, Tensor> restore) {}
