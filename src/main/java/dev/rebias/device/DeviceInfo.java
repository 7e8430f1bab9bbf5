package dev.rebias.device;

/**
 * What a device is, for reports.
 *
 * @param kind {@code cpu} or {@code cuda}
 * @param name the processor's or card's name
 * @param emulated whether this is the test instrument that imitates a device
 */
public record DeviceInfo(String kind, String name, boolean emulated) {}
