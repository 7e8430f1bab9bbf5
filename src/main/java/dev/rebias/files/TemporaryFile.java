package dev.rebias.files;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A file that is written under a name of its own and takes its final one when it is whole. It is locked while it is
 * written: a process that is killed leaves it, and the next one that writes into the folder tells by the lock, which
 * died with its process, that it may be removed.
 */
public final class TemporaryFile implements AutoCloseable {
    private static final String PREFIX = ".rebias-";
    private static final String SUFFIX = ".part";
    /** Those of this process, whose locks would be lost if they were opened once more (POSIX). */
    private static final Set<Path> IN_USE = ConcurrentHashMap.newKeySet();

    private final Path path;
    private final FileChannel channel;

    private TemporaryFile(Path path, FileChannel channel) {
        this.path = path;
        this.channel = channel;
    }

    /**
     * Makes one for a file: beside it, with its permissions if it is there, else with those that this user's files
     * have.
     */
    public static TemporaryFile of(Path target) throws IOException {
        FileAttribute<?>[] mode = permissions(target)
                .map(p -> new FileAttribute<?>[] {PosixFilePermissions.asFileAttribute(p)})
                .orElse(new FileAttribute<?>[0]);
        Path folder = target.toAbsolutePath().getParent();
        for (int attempt = 1; ; attempt++) {
            // A name of fixed length: one made from the final name could be too long.
            Path path = folder.toRealPath().resolve(PREFIX + UUID.randomUUID() + SUFFIX);
            IN_USE.add(path);
            FileChannel channel = null;
            try {
                channel = FileChannel.open(
                        path,
                        Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE, StandardOpenOption.READ),
                        mode);
                FileLock lock = channel.tryLock();
                // Another start that looked at it before it was locked may have removed it.
                if (lock != null && Files.exists(path)) {
                    return new TemporaryFile(path, channel);
                }
                channel.close();
                if (attempt == 10) {
                    throw new FileSystemException(
                            path.toString(), null, "temporary files there vanish or cannot be locked");
                }
            } catch (IOException e) {
                if (channel != null) {
                    channel.close();
                    Files.deleteIfExists(path);
                }
                IN_USE.remove(path);
                throw e;
            }
            IN_USE.remove(path);
        }
    }

    /**
     * Where the contents go, and can be read back; another channel on the file would lose its lock when it is closed.
     */
    public FileChannel channel() {
        return channel;
    }

    /**
     * Gives the file its final name.
     *
     * @param replace whether a file of that name may be replaced, whose permissions it then gets
     * @throws FileAlreadyExistsException if there is one and it may not
     */
    public void publish(Path target, boolean replace) throws IOException {
        if (!replace) {
            link(target);
            return;
        }
        Optional<Set<PosixFilePermission>> mode = permissions(target);
        if (mode.isPresent()) {
            Files.setPosixFilePermissions(path, mode.get());
        }
        try {
            Files.move(path, target, StandardCopyOption.ATOMIC_MOVE);
        } catch (AtomicMoveNotSupportedException e) {
            Files.move(path, target, StandardCopyOption.REPLACE_EXISTING);
        }
    }

    /** A link fails where a name is taken, in one step; a move would replace what has just appeared. */
    private void link(Path target) throws IOException {
        try {
            Files.createLink(target, path);
        } catch (FileAlreadyExistsException e) {
            throw e;
        } catch (FileSystemException | UnsupportedOperationException e) {
            // A file system without links: the best it can do is to look first.
            if (Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
                throw new FileAlreadyExistsException(target.toString());
            }
            Files.move(path, target, StandardCopyOption.ATOMIC_MOVE);
        }
    }

    /**
     * The permissions of a regular file that is there; a link is replaced, not followed, so those of what it points to
     * do not matter.
     */
    private static Optional<Set<PosixFilePermission>> permissions(Path target) throws IOException {
        if (!Files.isRegularFile(target, LinkOption.NOFOLLOW_LINKS)
                || !target.getFileSystem().supportedFileAttributeViews().contains("posix")) {
            return Optional.empty();
        }
        return Optional.of(Files.readAttributes(target, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS)
                .permissions());
    }

    /** Removes the temporary name, if it is still there. */
    @Override
    public void close() throws IOException {
        try {
            Files.deleteIfExists(path);
        } finally {
            channel.close();
            IN_USE.remove(path);
        }
    }

    /**
     * Removes what processes of this user that were killed have left in a folder. What cannot be removed, or is in use,
     * stays.
     */
    public static void removeAbandoned(Path folder) {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder.toRealPath(), PREFIX + "*" + SUFFIX)) {
            for (Path file : files) {
                if (!IN_USE.contains(file)
                        && Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)
                        && Owner.isOurs(file)) {
                    removeIfAbandoned(file);
                }
            }
        } catch (IOException | DirectoryIteratorException e) {
            // A folder that cannot be listed may well be written to; whatever lies there hinders nobody.
        }
    }

    private static void removeIfAbandoned(Path file) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS);
                FileLock lock = channel.tryLock()) {
            if (lock != null) {
                Files.deleteIfExists(file);
            }
        }
    }
}
