package dev.rebias.cli;

import dev.rebias.Phase;
import dev.rebias.error.Failure;
import dev.rebias.error.RebiasException;
import dev.rebias.files.Sha256;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * SHA-256 of the files that a run reads, each read once for it: as they are when the run begins, whatever becomes of
 * them later. Reading large ones takes time, which is a phase of its own.
 */
final class FileHashes {
    private static final String PHASE = "hashing files";

    private final boolean quiet;
    private final Map<Path, String> known = new LinkedHashMap<>();
    private double seconds;

    /**
     * No file is read yet.
     *
     * @param quiet whether nothing is shown of it
     */
    FileHashes(boolean quiet) {
        this.quiet = quiet;
    }

    /**
     * Reads those files that were not read yet.
     *
     * @return this
     * @throws RebiasException if one cannot be read
     */
    FileHashes read(Collection<Path> files) {
        long start = System.nanoTime();
        Progress.during(PHASE, quiet, () -> {
            files.forEach(file -> known.computeIfAbsent(file, FileHashes::contents));
            return this;
        });
        seconds += (System.nanoTime() - start) / 1e9;
        return this;
    }

    /** In hexadecimal; of a file that was read. */
    String of(Path file) {
        String hash = known.get(file);
        if (hash == null) {
            throw new IllegalArgumentException("'" + file + "' was not read");
        }
        return hash;
    }

    /** How long it took; empty if there was nothing to read. */
    Optional<Phase> phase() {
        return known.isEmpty() ? Optional.empty() : Optional.of(new Phase(PHASE, seconds));
    }

    private static String contents(Path file) {
        try (InputStream in = Files.newInputStream(file)) {
            return Sha256.of(in);
        } catch (IOException e) {
            throw new RebiasException("cannot read '" + file + "': " + Failure.reason(e), e);
        }
    }
}
