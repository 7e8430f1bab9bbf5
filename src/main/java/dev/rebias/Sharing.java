package dev.rebias;

import dev.rebias.device.DeviceInfo;
import java.util.List;

/**
 * How the samples of a correction were divided.
 *
 * @param parts in their order, which is the samples'
 * @param rounds how often they exchanged what they measured
 * @param bytes how many bytes this part gave to the others in all
 */
public record Sharing(List<Part> parts, long rounds, long bytes) {
    public Sharing {
        parts = List.copyOf(parts);
    }

    /**
     * A part of the samples.
     *
     * @param device what measured them
     * @param correcting how many corrections come from
     * @param heldOut how many others were held out
     */
    public record Part(DeviceInfo device, int correcting, int heldOut) {}
}
