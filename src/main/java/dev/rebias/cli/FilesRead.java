package dev.rebias.cli;

import dev.rebias.ModelPair;
import dev.rebias.error.Failure;
import dev.rebias.error.RebiasException;
import dev.rebias.report.RunReport;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** The files that a run reads. */
final class FilesRead {
    private static final int CHUNK = 1 << 16;

    private FilesRead() {}

    /**
     * A file or folder of samples, and all that is in the folder and those below, links followed as they are where
     * images are read.
     *
     * @throws RebiasException if a folder cannot be listed
     */
    static List<Path> under(Path samples) {
        if (!Files.isDirectory(samples)) {
            return List.of(samples);
        }
        try (Stream<Path> all = Files.walk(samples, FileVisitOption.FOLLOW_LINKS)) {
            return all.toList();
        } catch (IOException e) {
            throw unlisted(samples, e);
        } catch (UncheckedIOException e) {
            throw unlisted(samples, e.getCause());
        }
    }

    private static RebiasException unlisted(Path folder, IOException e) {
        return new RebiasException("folder '" + folder + "' cannot be listed: " + Failure.reason(e), e);
    }

    /**
     * What reports say of a run's files, with their hashes.
     *
     * @throws RebiasException if one cannot be read
     */
    static List<RunReport.FileRead> of(ModelPair pair, Path samples) {
        List<RunReport.FileRead> all = new ArrayList<>();
        pair.files().forEach(f -> all.add(new RunReport.FileRead("model", f.toString(), hash(f))));
        all.add(new RunReport.FileRead("samples", samples.toString(), hash(samples)));
        return all;
    }

    /** SHA-256 of a file; empty for a folder, whose samples' values have a hash of their own. */
    private static Optional<String> hash(Path file) {
        return Files.isDirectory(file) ? Optional.empty() : Optional.of(contents(file));
    }

    /**
     * SHA-256 of a file, in hexadecimal.
     *
     * @throws RebiasException if it cannot be read
     */
    static String contents(Path file) {
        try (InputStream in = Files.newInputStream(file)) {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            DigestInputStream hashed = new DigestInputStream(in, digest);
            byte[] chunk = new byte[CHUNK];
            while (hashed.read(chunk) >= 0) {
                // Reading is all it takes.
            }
            return HexFormat.of().formatHex(digest.digest());
        } catch (IOException e) {
            throw new RebiasException("cannot read '" + file + "': " + Failure.reason(e), e);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }
}
