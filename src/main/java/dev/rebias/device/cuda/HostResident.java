package dev.rebias.device.cuda;

import dev.rebias.device.Tensor;
import dev.rebias.tensor.ElementType;

/**
 * A tensor that stays on the host: integers that describe shapes, and whatever else kernels do not work on. It wraps one of the CPU device.
 */
final class HostResident implements Tensor {
    private final Tensor tensor;

    HostResident(Tensor tensor) {
        this.tensor = tensor;
    }

    Tensor tensor() {
        return tensor;
    }

    @Override
    public ElementType type() {
        return tensor.type();
    }

    @Override
    public long[] shape() {
        return tensor.shape();
    }

    @Override
    public void close() {
        tensor.close();
    }
}
