package dev.rebias.device;

import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.error.DeviceUnavailableException;
import dev.rebias.error.UsageException;

/** Opens the device that was asked for. */
public final class Devices {
    private Devices() {}

    /**
     * A device, and the choice in words.
     *
     * @param why one line: what was chosen and why
     */
    public record Choice(Device device, String why) {}

    /**
     * Opens a device.
     *
     * @param name {@code auto} (a GPU if this build can use one, else the CPU), {@code cpu}, {@code cuda} or {@code cuda:N}
     * @throws DeviceUnavailableException if the device that was named cannot be used; there is no fall-back from a named device
     * @throws UsageException if the name is none of these
     */
    public static Choice open(String name) {
        if (name.equals("cpu")) {
            return new Choice(new CpuDevice(), "cpu, as asked for");
        }
        if (name.equals("auto")) {
            return new Choice(new CpuDevice(), "cpu: this build of rebias has no CUDA device");
        }
        if (name.matches("cuda(:\\d+)?")) {
            throw new DeviceUnavailableException("device '" + name
                    + "' is not available: this build of rebias has no CUDA device; use --device cpu or auto");
        }
        throw new UsageException("device '" + name + "' is unknown: use auto, cpu, cuda or cuda:N");
    }
}
