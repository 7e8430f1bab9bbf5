package dev.rebias.device;

import java.util.List;

/**
 * What a device has done so far.
 *
 * @param transfers what went to and fro
 * @param warnings what the user should know about how the work was done, one sentence each: operations that ran
 *     elsewhere than on the device
 */
public record DeviceLog(Transfers transfers, List<String> warnings) {
    public DeviceLog {
        warnings = List.copyOf(warnings);
    }
}
