package dev.rebias.cli;

import dev.rebias.ModelPair;
import dev.rebias.Version;
import dev.rebias.error.RebiasException;
import dev.rebias.files.Sha256;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * What a run was asked for, as one hash: the program's version, what its input files hold, and the options that decide
 * about its result.
 */
final class Request {
    /** Options that do not decide about the result, or name files, whose contents count. */
    private static final Set<String> WITHOUT_EFFECT = Set.of(
            "--float",
            "--quantized",
            "--samples",
            "--output",
            "--force",
            "--report",
            "--per-channel",
            "--all",
            "--quiet",
            "--verbose",
            "--device",
            "--batch-size",
            "--memory-limit",
            "--skip-existing");

    private Request() {}

    /**
     * SHA-256, in hexadecimal. Reads every input file for its hash.
     *
     * @param samples a file or folder
     * @param given options and their values
     * @param hashes what is read already; takes on the others
     * @throws RebiasException if a file cannot be read
     */
    static String of(ModelPair pair, Path samples, Map<String, String> given, FileHashes hashes) {
        StringBuilder text = new StringBuilder(Version.current()).append('\n');
        List<Path> read = FilesRead.under(samples).stream()
                .filter(file -> !Files.isDirectory(file))
                .sorted()
                .toList();
        hashes.read(pair.files()).read(read);
        pair.files()
                .forEach(file -> text.append("model ").append(hashes.of(file)).append('\n'));
        for (Path file : read) {
            // In a folder names decide about the order; a file that is renamed is the same.
            text.append("samples ")
                    .append(samples.relativize(file))
                    .append(' ')
                    .append(hashes.of(file))
                    .append('\n');
        }
        new TreeMap<>(given).forEach((option, value) -> {
            if (!WITHOUT_EFFECT.contains(option)) {
                text.append(option).append(' ').append(value).append('\n');
            }
        });
        return Sha256.of(text.toString().getBytes(StandardCharsets.UTF_8));
    }
}
