package dev.rebias.cli;

import dev.rebias.ModelPair;
import dev.rebias.error.Failure;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UsageException;
import dev.rebias.report.RunReport;
import dev.rebias.samples.Samples;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** The files that a run reads. */
final class FilesRead {
    private FilesRead() {}

    /**
     * A file or folder of samples, and all that is in the folder and those below, links followed as they are where
     * images are read.
     *
     * @throws UsageException if there is nothing at that path
     * @throws RebiasException if a folder cannot be listed
     */
    static List<Path> under(Path samples) {
        Samples.requireExists(samples);
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
    static List<RunReport.FileRead> of(ModelPair pair, Path samples, FileHashes hashes) {
        List<Path> files = new ArrayList<>(pair.files());
        // A folder has no hash; its samples' values have one of their own.
        if (!Files.isDirectory(samples)) {
            files.add(samples);
        }
        hashes.read(files);
        List<RunReport.FileRead> all = new ArrayList<>();
        pair.files().forEach(f -> all.add(new RunReport.FileRead("model", f.toString(), Optional.of(hashes.of(f)))));
        all.add(new RunReport.FileRead(
                "samples",
                samples.toString(),
                Optional.of(samples).filter(s -> !Files.isDirectory(s)).map(hashes::of)));
        return all;
    }
}
