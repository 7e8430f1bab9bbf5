package dev.rebias.device;

/** The memory of a device's tensors. */
public interface DeviceMemory {
    /** The bytes of the tensors that are alive now. */
    long used();

    /** The most bytes of tensors that have been alive at once. */
    long peak();

    /** Makes {@link #peak()} count from here on. */
    void forgetPeak();

    /**
     * The bytes of tensors that may be here where nobody sets a limit: beyond that, those that are stored for later go
     * elsewhere, so that those in use find room.
     */
    long usualLimit();

    /** How many bytes a tensor may have, however much memory there is. */
    long mostTensorBytes();
}
