package dev.rebias.error;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.FileSystemLoopException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;

/** Why something failed, in a few words for a sentence. */
public final class Failure {
    private Failure() {}

    /**
     * The reason of a failed access to a file, without the file's name: Java's own message is often nothing but that
     * name.
     */
    public static String reason(IOException e) {
        if (e instanceof AccessDeniedException) {
            return "permission denied";
        } else if (e instanceof NoSuchFileException) {
            return "it does not exist";
        } else if (e instanceof FileAlreadyExistsException) {
            return "it exists already";
        } else if (e instanceof NotDirectoryException) {
            return "it is not a folder";
        } else if (e instanceof DirectoryNotEmptyException) {
            return "the folder is not empty";
        } else if (e instanceof FileSystemLoopException) {
            return "its links go round in a circle";
        } else if (e instanceof CharacterCodingException) {
            return "it is not text in UTF-8";
        } else if (e instanceof FileSystemException f && f.getReason() != null) {
            return decapitalized(f.getReason());
        }
        return message(e);
    }

    /** The reason of any failure: the message of what lay behind it in the end, where Java wraps it. */
    public static String deepest(Throwable e) {
        Throwable cause = e;
        while (cause.getCause() != null
                && (cause instanceof LinkageError
                        || cause instanceof UncheckedIOException
                        || cause.getMessage() == null)) {
            cause = cause.getCause();
        }
        return cause instanceof IOException io ? reason(io) + place(io) : message(cause);
    }

    private static String place(IOException e) {
        return e instanceof FileSystemException f && f.getFile() != null ? " ('" + f.getFile() + "')" : "";
    }

    private static String message(Throwable e) {
        return e.getMessage() == null || e.getMessage().isBlank()
                ? e.getClass().getSimpleName()
                : PrintableText.oneLine(e.getMessage());
    }

    private static String decapitalized(String text) {
        return text.isEmpty() ? text : Character.toLowerCase(text.charAt(0)) + text.substring(1);
    }
}
