package dev.rebias.error;

/**
 * A model or the samples hold something that rebias cannot work with: damaged, mismatched or not supported. Exit code
 * 4.
 */
public final class UnsupportedException extends RebiasException {
    private static final long serialVersionUID = 1L;

    public UnsupportedException(String message) {
        super(message);
    }

    public UnsupportedException(String message, Throwable cause) {
        super(message, cause);
    }

    @Override
    public int exitCode() {
        return 4;
    }
}
