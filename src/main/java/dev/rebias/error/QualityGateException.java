package dev.rebias.error;

/** The work was done, but its result missed a bound that the user asked for. Exit code 5. */
public final class QualityGateException extends RebiasException {
    private static final long serialVersionUID = 1L;

    public QualityGateException(String message) {
        super(message);
    }

    public QualityGateException(String message, Throwable cause) {
        super(message, cause);
    }

    @Override
    public int exitCode() {
        return 5;
    }
}
