package dev.rebias.device.cuda;

import dev.rebias.device.Tensor;
import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;

/**
 * A tensor that stays on the host: integers that describe shapes, and whatever else kernels do not work on. It wraps
 * one of the CPU device that belongs to the card's context.
 */
final class HostResident implements Tensor {
    private final CpuDevice device;
    private final Tensor tensor;

    /**
     * Wraps a tensor.
     *
     * @param device whose tensor it is
     */
    HostResident(CpuDevice device, Tensor tensor) {
        this.device = device;
        this.tensor = tensor;
    }

    /** A new tensor with these values. */
    static HostResident of(CpuDevice device, HostTensor values) {
        return new HostResident(device, device.upload(values));
    }

    /** A copy of its values. */
    HostTensor values() {
        return device.download(tensor);
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
