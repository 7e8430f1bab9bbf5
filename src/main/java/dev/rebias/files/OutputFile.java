package dev.rebias.files;

import dev.rebias.error.Failure;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UsageException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Collection;

/**
 * A file to be written: checked before the work starts, then put in place in one step (a temporary file beside it,
 * renamed).
 */
public final class OutputFile {
    private final Path path;
    private final boolean force;

    private OutputFile(Path path, boolean force) {
        this.path = path;
        this.force = force;
    }

    /** Writes a file's contents. */
    @FunctionalInterface
    public interface Contents {
        void write(FileChannel to) throws IOException;
    }

    /**
     * Checks that a file may be written, and removes what a run that was killed has left in its folder.
     *
     * @param inputs files that are being read, and must not be written over
     * @param force whether an existing file may be replaced
     * @throws UsageException if it is one of the inputs, a folder, exists already, its folder is missing, or its name
     *     is impossible
     * @throws RebiasException if its folder cannot be written to
     */
    public static OutputFile check(Path path, Collection<Path> inputs, boolean force) {
        Path folder = path.toAbsolutePath().getParent();
        if (folder == null || Files.isDirectory(path)) {
            throw new UsageException("output '" + path + "' is a folder: give the name of a file");
        }
        if (!InputFile.exists(folder) || !Files.isDirectory(folder)) {
            throw new UsageException("the folder of output '" + path + "' does not exist: create it first");
        }
        boolean exists = exists(path);
        for (Path input : inputs) {
            if (isSame(path, input)) {
                throw new UsageException("output '" + path
                        + "' is also an input, or another output: choose another name, rebias never writes "
                        + "over what it reads");
            }
        }
        if (exists && !force) {
            throw new UsageException(
                    "output '" + path + "' exists already: choose another name, or allow replacing it with `force`");
        }
        if (!Files.isWritable(folder)) {
            throw new RebiasException("folder '" + folder + "' cannot be written to, so '" + path
                    + "' cannot be made: check its permissions");
        }
        TemporaryFile.removeAbandoned(folder);
        return new OutputFile(path, force);
    }

    /** Whether the name is taken, if only by a link that leads nowhere. */
    private static boolean exists(Path path) {
        try {
            Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
            return true;
        } catch (NoSuchFileException e) {
            return false;
        } catch (IOException e) {
            throw new UsageException("output '" + path + "' cannot be made: " + Failure.reason(e), e);
        }
    }

    private static boolean isSame(Path a, Path b) {
        try {
            return real(a).equals(real(b)) || (Files.exists(a) && Files.exists(b) && Files.isSameFile(a, b));
        } catch (IOException e) {
            throw new RebiasException(
                    "cannot tell whether '" + a + "' and '" + b + "' are one file: " + Failure.reason(e), e);
        }
    }

    /**
     * A path without links, of a file that need not be there yet; a link that leads nowhere is followed to where it
     * leads.
     */
    private static Path real(Path path) throws IOException {
        Path at = path.toAbsolutePath();
        for (int links = 0; links < 40; links++) {
            if (Files.exists(at)) {
                return at.toRealPath();
            }
            Path folder = at.getParent();
            if (folder == null || !Files.exists(folder)) {
                return at.normalize();
            }
            at = folder.toRealPath().resolve(at.getFileName());
            if (!Files.isSymbolicLink(at)) {
                return at;
            }
            at = at.resolveSibling(Files.readSymbolicLink(at));
        }
        return at;
    }

    public Path path() {
        return path;
    }

    /** Writes these bytes. Throws RebiasException if that fails; then neither the file nor a temporary one is left. */
    public void write(byte[] bytes) {
        try (Staged staged = stage(bytes)) {
            staged.publish();
        }
    }

    /** Writes bytes beside the file, as {@link #stage(Contents)} does. */
    public Staged stage(byte[] bytes) {
        return stage(to -> {
            ByteBuffer from = ByteBuffer.wrap(bytes);
            while (from.hasRemaining()) {
                to.write(from);
            }
        });
    }

    /**
     * Writes contents beside the file, which takes its name when they are published.
     *
     * @throws RebiasException if that fails; then nothing is left
     */
    public Staged stage(Contents contents) {
        TemporaryFile temporary = null;
        try {
            temporary = TemporaryFile.of(path.toAbsolutePath());
            contents.write(temporary.channel());
            return new Staged(this, temporary);
        } catch (IOException | RuntimeException e) {
            RuntimeException failure = e instanceof IOException io ? failure(io) : (RuntimeException) e;
            if (temporary != null) {
                close(temporary, failure);
            }
            throw failure;
        }
    }

    private RebiasException failure(IOException e) {
        if (e instanceof FileAlreadyExistsException) {
            return new RebiasException(
                    "'" + path
                            + "' has appeared while this ran, and is left as it is; nothing was written: choose "
                            + "another name, or allow replacing it with `force`",
                    e);
        }
        return new RebiasException(
                "cannot write '" + path + "' (" + Failure.reason(e)
                        + "): check that its folder can be written to and has space",
                e);
    }

    private static void close(TemporaryFile temporary, RuntimeException failure) {
        try {
            temporary.close();
        } catch (IOException e) {
            failure.addSuppressed(e);
        }
    }

    /** Contents that are written whole, but do not have their name yet. What is not published is removed on close. */
    public static final class Staged implements AutoCloseable {
        private final OutputFile file;
        private final TemporaryFile temporary;

        private Staged(OutputFile file, TemporaryFile temporary) {
            this.file = file;
            this.temporary = temporary;
        }

        /**
         * Gives the file its name.
         *
         * @throws RebiasException if that fails, or a file of that name has appeared since the check and may not be
         *     replaced
         */
        public void publish() {
            try {
                temporary.publish(file.path.toAbsolutePath(), file.force);
            } catch (IOException e) {
                throw file.failure(e);
            }
        }

        /** What was written, to be read back. */
        public FileChannel channel() {
            return temporary.channel();
        }

        /** All that was written, read back from the file. */
        public byte[] bytes() {
            try {
                FileChannel channel = temporary.channel();
                ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(channel.size()));
                while (bytes.hasRemaining() && channel.read(bytes, bytes.position()) >= 0) {
                    // read on until all is there
                }
                return bytes.array();
            } catch (IOException e) {
                throw new RebiasException(
                        "cannot read back what was written for '" + file.path + "': " + Failure.reason(e), e);
            }
        }

        /** Takes a published file back, unless it has replaced another, which is gone. */
        public void withdraw() {
            try {
                if (!file.force) {
                    Files.deleteIfExists(file.path);
                }
            } catch (IOException e) {
                throw file.failure(e);
            }
        }

        @Override
        public void close() {
            try {
                temporary.close();
            } catch (IOException e) {
                throw file.failure(e);
            }
        }
    }
}
