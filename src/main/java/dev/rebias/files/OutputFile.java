package dev.rebias.files;

import dev.rebias.error.RebiasException;
import dev.rebias.error.UsageException;
import java.io.IOException;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Collection;
import java.util.UUID;

/** A file to be written: checked before the work starts, then put in place in one step (a temporary file beside it, renamed). */
public final class OutputFile {
    private final Path path;

    private OutputFile(Path path) {
        this.path = path;
    }

    /**
     * Checks that a file may be written.
     *
     * @param inputs files that are being read, and must not be written over
     * @param force whether an existing file may be replaced
     * @throws UsageException if it is one of the inputs, a folder, exists already, or its folder is missing
     * @throws RebiasException if its folder cannot be written to
     */
    public static OutputFile check(Path path, Collection<Path> inputs, boolean force) {
        for (Path input : inputs) {
            if (isSame(path, input)) {
                throw new UsageException(
                        "output '" + path
                                + "' is also an input, or another output: choose another name, rebias never writes over what it reads");
            }
        }
        Path folder = path.toAbsolutePath().getParent();
        if (folder == null || Files.isDirectory(path)) {
            throw new UsageException("output '" + path + "' is a folder: give the name of a file");
        }
        if (!Files.isDirectory(folder)) {
            throw new UsageException("the folder of output '" + path + "' does not exist: create it first");
        }
        if (Files.exists(path) && !force) {
            throw new UsageException(
                    "output '" + path + "' exists already: choose another name, or allow replacing it with --force");
        }
        if (!Files.isWritable(folder)) {
            throw new RebiasException("folder '" + folder + "' cannot be written to, so '" + path
                    + "' cannot be made: check its permissions");
        }
        return new OutputFile(path);
    }

    private static boolean isSame(Path a, Path b) {
        try {
            return a.toAbsolutePath().normalize().equals(b.toAbsolutePath().normalize())
                    || (Files.exists(a) && Files.exists(b) && Files.isSameFile(a, b));
        } catch (IOException e) {
            throw new RebiasException(
                    "cannot tell whether '" + a + "' and '" + b + "' are one file: " + e.getMessage(), e);
        }
    }

    public Path path() {
        return path;
    }

    /** Writes these bytes. Throws RebiasException if that fails; then neither the file nor a temporary one is left. */
    public void write(byte[] bytes) {
        Path temporary = null;
        try {
            Path absolute = path.toAbsolutePath();
            // With the permissions that the user's files have; Files.createTempFile would make it readable to its owner
            // alone.
            temporary = absolute.resolveSibling("." + absolute.getFileName() + "." + UUID.randomUUID() + ".part");
            Files.write(temporary, bytes, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
            move(temporary, absolute);
        } catch (IOException e) {
            RebiasException failure = new RebiasException(
                    "cannot write '" + path + "' (" + e.getMessage()
                            + "): check that its folder can be written to and has space",
                    e);
            remove(temporary, failure);
            throw failure;
        }
    }

    private static void move(Path from, Path to) throws IOException {
        try {
            Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
        } catch (AtomicMoveNotSupportedException e) {
            Files.move(from, to, StandardCopyOption.REPLACE_EXISTING);
        }
    }

    private static void remove(Path temporary, RebiasException failure) {
        if (temporary != null) {
            try {
                Files.deleteIfExists(temporary);
            } catch (IOException e) {
                failure.addSuppressed(e);
            }
        }
    }
}
