package dev.rebias;

import dev.rebias.device.Device;
import dev.rebias.device.DeviceInfo;
import dev.rebias.device.Devices;
import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.error.UsageException;

/**
 * A device that stays open for many corrections one after the other: they share its memory and what it has compiled.
 * Used by one thread at a time, whichever that is.
 */
public final class DeviceSession implements AutoCloseable {
    private final Device device;
    private final String why;

    private DeviceSession(Device device, String why) {
        this.device = device;
        this.why = why;
    }

    /**
     * Opens a device.
     *
     * @param name {@code auto} (the first GPU if there is one that can be used, else the CPU), {@code cpu},
     *     {@code cuda} or {@code cuda:N}, as for {@link CorrectionOptions.Builder#device}
     * @throws dev.rebias.error.DeviceUnavailableException if the device that was named cannot be used; there is no
     *     fall-back from a named device
     * @throws UsageException if the name is none of these
     */
    public static DeviceSession open(String name) {
        Devices.Choice choice = Devices.open(name);
        return new DeviceSession(choice.device(), choice.why());
    }

    /**
     * Opens the CPU for a program that computes on other cores itself, or has several sessions.
     *
     * @param threads how many of the machine's cores it may take, at least 1
     * @throws UsageException if that is none
     */
    public static DeviceSession openCpu(int threads) {
        if (threads < 1) {
            throw new UsageException("the CPU cannot be used with " + threads + " threads: give 1 or more");
        }
        return new DeviceSession(
                new CpuDevice(threads), "cpu, with " + threads + (threads == 1 ? " thread" : " threads"));
    }

    /** Of a device that is open; closing the session closes it. */
    public static DeviceSession of(Device device) {
        return new DeviceSession(device, "given");
    }

    /** What the device is. */
    public DeviceInfo info() {
        return device.info();
    }

    /** One line: which device was chosen and why. */
    public String why() {
        return why;
    }

    Device device() {
        return device;
    }

    @Override
    public void close() {
        device.close();
    }
}
