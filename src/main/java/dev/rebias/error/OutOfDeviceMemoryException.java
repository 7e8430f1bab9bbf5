package dev.rebias.error;

/**
 * A device's memory does not suffice for what is worked on at once; with smaller batches it may. The device can be used
 * further. Exit code 1.
 */
public final class OutOfDeviceMemoryException extends RebiasException {
    private static final long serialVersionUID = 1L;

    public OutOfDeviceMemoryException(String message) {
        super(message);
    }
}
