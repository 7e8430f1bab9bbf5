package dev.rebias.error;

/**
 * Something failed while rebias was at work (a full disk, an unwritable folder). Exit code 1; the subclasses have their
 * own. The message is one line, whatever the names in it are ({@link PrintableText#sentence}).
 */
public class RebiasException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public RebiasException(String message) {
        super(PrintableText.sentence(message));
    }

    public RebiasException(String message, Throwable cause) {
        super(PrintableText.sentence(message), cause);
    }

    /** The exit code of the command line. */
    public int exitCode() {
        return 1;
    }
}
