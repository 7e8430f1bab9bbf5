package dev.rebias.files;

import dev.rebias.error.Failure;
import dev.rebias.error.RebiasException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Comparator;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Stream;

/**
 * This process's own folder for temporary files: nobody else may enter it, and it is gone when the process ends. A
 * process that is killed leaves its folder; the next one removes it. A lock that dies with its process tells which are
 * in use.
 */
public final class ProcessFolder {
    private static final String PREFIX = "rebias-";
    private static final String SUFFIX = ".tmp";
    private static final String LOCK = "lock";

    private static Optional<Path> made = Optional.empty();
    /** Open, and locked, until the process ends. */
    private static Optional<FileChannel> lock = Optional.empty();

    private ProcessFolder() {}

    /**
     * The folder, made when first asked for, with mode 0700: in the system's folder for temporary files, or where that
     * cannot be written to, in the user's cache.
     *
     * @throws RebiasException if none can be made
     */
    public static synchronized Path get() {
        if (made.isEmpty()) {
            Path temporary = Path.of(System.getProperty("java.io.tmpdir"));
            try {
                makeIn(temporary);
            } catch (IOException e) {
                try {
                    makeIn(PrivateFolder.ofUser().orElseThrow(() -> e));
                } catch (IOException again) {
                    throw new RebiasException(
                            "no temporary folder can be made in '" + temporary + "' (" + Failure.reason(e)
                                    + "): set TMPDIR to a folder that you may write to",
                            again);
                }
            }
            Path folder = made.orElseThrow();
            Runtime.getRuntime().addShutdownHook(new Thread(() -> remove(folder), "rebias-temporary-files"));
        }
        return made.orElseThrow();
    }

    private static void makeIn(Path place) throws IOException {
        Path real = place.toRealPath();
        removeAbandoned(real);
        removeEmptyOfOnnxRuntime(real);
        for (int attempt = 1; lock.isEmpty(); attempt++) {
            Path folder = Files.createDirectory(real.resolve(PREFIX + UUID.randomUUID() + SUFFIX), PrivateFolder.MODE);
            try {
                lock = locked(folder);
                made = Optional.of(folder);
            } catch (IOException e) {
                // Another start, which looked at it before it was locked, may have removed it.
                if (Files.exists(folder) || attempt == 10) {
                    remove(folder);
                    throw e;
                }
            }
        }
    }

    private static Optional<FileChannel> locked(Path folder) throws IOException {
        Path file = folder.resolve(LOCK);
        FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        FileLock held = channel.lock();
        if (held.isValid() && Files.exists(file)) {
            return Optional.of(channel);
        }
        channel.close();
        return Optional.empty();
    }

    /**
     * Removes folders of this user's whose processes are dead. One that cannot be looked into is left for another time.
     */
    private static void removeAbandoned(Path place) {
        try (DirectoryStream<Path> folders = Files.newDirectoryStream(place, PREFIX + "*" + SUFFIX)) {
            for (Path folder : folders) {
                if (Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS) && Owner.isOurs(folder)) {
                    removeIfAbandoned(folder);
                }
            }
        } catch (IOException | DirectoryIteratorException e) {
            // What lies there hinders nobody; a folder in which nothing can be made is found out next.
        }
    }

    /**
     * ONNX Runtime's Java makes an empty folder of its own at every start, which a killed process leaves. Where its
     * libraries are not found as files, they come into it at once: one that has been empty for an hour is abandoned.
     */
    private static void removeEmptyOfOnnxRuntime(Path place) {
        Instant anHourAgo = Instant.now().minus(1, ChronoUnit.HOURS);
        try (DirectoryStream<Path> folders = Files.newDirectoryStream(place, "onnxruntime-java*")) {
            for (Path folder : folders) {
                if (Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)
                        && Owner.isOurs(folder)
                        && isEmpty(folder)
                        && Files.getLastModifiedTime(folder).toInstant().isBefore(anHourAgo)) {
                    Files.deleteIfExists(folder);
                }
            }
        } catch (IOException | DirectoryIteratorException e) {
            // What lies there hinders nobody.
        }
    }

    private static boolean isEmpty(Path folder) throws IOException {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
            return !files.iterator().hasNext();
        }
    }

    private static void removeIfAbandoned(Path folder) throws IOException {
        // CREATE: a process that was killed before it made its lock has left a folder without one.
        try (FileChannel channel = FileChannel.open(
                        folder.resolve(LOCK),
                        StandardOpenOption.CREATE,
                        StandardOpenOption.WRITE,
                        LinkOption.NOFOLLOW_LINKS);
                FileLock free = channel.tryLock()) {
            if (free != null) {
                remove(folder);
            }
        }
    }

    private static void remove(Path folder) {
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(file);
            }
        } catch (IOException | UncheckedIOException e) {
            // Something is being written there still, by a thread that outlives the program's end: the next start tries
            // again.
        }
    }
}
