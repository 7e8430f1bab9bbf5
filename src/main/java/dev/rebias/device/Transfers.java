package dev.rebias.device;

/**
 * Traffic between host and device since the device was opened: bytes each way, and how often the host waited for the
 * device.
 */
public record Transfers(long hostToDeviceBytes, long deviceToHostBytes, long synchronisations) {
    /** What has come since then. */
    public Transfers since(Transfers then) {
        return new Transfers(
                hostToDeviceBytes - then.hostToDeviceBytes,
                deviceToHostBytes - then.deviceToHostBytes,
                synchronisations - then.synchronisations);
    }
}
