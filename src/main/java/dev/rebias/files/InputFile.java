package dev.rebias.files;

import dev.rebias.error.Failure;
import dev.rebias.error.RebiasException;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;

/** Files that are read. */
public final class InputFile {
    private InputFile() {}

    /**
     * Whether there is something at a path; links are followed.
     *
     * @throws RebiasException if that cannot be told, because a folder on the way there may not be searched or a name
     *     is too long: {@link Files#exists} would deny it
     */
    public static boolean exists(Path path) {
        try {
            Files.readAttributes(path, BasicFileAttributes.class);
            return true;
        } catch (NoSuchFileException e) {
            return false;
        } catch (FileSystemException e) {
            if ("Not a directory".equals(e.getReason())) {
                return false;
            }
            throw unreadable(path, e);
        } catch (IOException e) {
            throw unreadable(path, e);
        }
    }

    /** Whether there is a regular file at a path; throws as {@link #exists} does. */
    public static boolean isFile(Path path) {
        return exists(path) && Files.isRegularFile(path);
    }

    private static RebiasException unreadable(Path path, IOException e) {
        return new RebiasException("'" + path + "' cannot be read: " + Failure.reason(e), e);
    }
}
