package dev.rebias;

import dev.rebias.device.Device;
import dev.rebias.device.DeviceInfo;
import dev.rebias.device.Devices;
import dev.rebias.device.Resources;
import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.error.UsageException;
import java.util.ArrayList;
import java.util.List;

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

    /**
     * Opens the devices that a name stands for: {@code cuda:all} for all cards of the machine, {@code cuda:0,2} for
     * some of them, or one as for {@link #open}.
     *
     * @return at least one, in their order
     * @throws dev.rebias.error.DeviceUnavailableException if one of them cannot be used; none is open then
     * @throws UsageException if the name is none of these
     */
    public static List<DeviceSession> openAll(String name) {
        return openAll(Devices.names(name));
    }

    static List<DeviceSession> openAll(List<String> names) {
        List<DeviceSession> opened = new ArrayList<>();
        try {
            names.forEach(name -> opened.add(open(name)));
        } catch (RuntimeException | Error e) {
            Resources all = new Resources();
            opened.forEach(session -> all.add(session::close));
            all.close();
            throw e;
        }
        return opened;
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
