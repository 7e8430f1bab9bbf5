package dev.rebias.device.cuda;

/** What goes between host and device. */
final class Counters {
    long hostToDeviceBytes;
    long deviceToHostBytes;
    long synchronisations;
}
