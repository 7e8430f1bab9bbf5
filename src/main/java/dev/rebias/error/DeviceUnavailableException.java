package dev.rebias.error;

/** The device that was asked for cannot be used on this machine. Exit code 3. */
public final class DeviceUnavailableException extends RebiasException {
    private static final long serialVersionUID = 1L;

    public DeviceUnavailableException(String message) {
        super(message);
    }

    public DeviceUnavailableException(String message, Throwable cause) {
        super(message, cause);
    }

    @Override
    public int exitCode() {
        return 3;
    }
}
