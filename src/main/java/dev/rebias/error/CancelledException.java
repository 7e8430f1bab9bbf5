package dev.rebias.error;

/**
 * The thread that asked for the work was interrupted, and the work has ended; the thread still counts as interrupted.
 * Exit code 1.
 */
public final class CancelledException extends RebiasException {
    private static final long serialVersionUID = 1L;

    public CancelledException(String message) {
        super(message);
    }

    public CancelledException(String message, Throwable cause) {
        super(message, cause);
    }

    /** Cancels work on behalf of a thread that was interrupted. */
    public static void throwIfInterrupted(Thread caller) {
        if (caller.isInterrupted()) {
            throw new CancelledException("cancelled: the thread was interrupted");
        }
    }
}
