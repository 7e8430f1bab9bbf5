package dev.rebias.error;

/**
 * What was asked for cannot be done as asked: a missing file, an output that is also an input, an impossible option.
 * Exit code 2.
 */
public final class UsageException extends RebiasException {
    private static final long serialVersionUID = 1L;

    public UsageException(String message) {
        super(message);
    }

    public UsageException(String message, Throwable cause) {
        super(message, cause);
    }

    @Override
    public int exitCode() {
        return 2;
    }
}
