package dev.rebias.cli;

import dev.rebias.ModelPair;
import dev.rebias.Version;
import dev.rebias.error.RebiasException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
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
     * SHA-256, in hexadecimal. Reads every input file.
     *
     * @param samples a file or folder
     * @param given options and their values
     * @throws RebiasException if a file cannot be read
     */
    static String of(ModelPair pair, Path samples, Map<String, String> given) {
        StringBuilder text = new StringBuilder(Version.current()).append('\n');
        pair.files()
                .forEach(file ->
                        text.append("model ").append(FilesRead.contents(file)).append('\n'));
        List<Path> read = FilesRead.under(samples).stream()
                .filter(file -> !Files.isDirectory(file))
                .sorted()
                .toList();
        for (Path file : read) {
            // In a folder names decide about the order; a file that is renamed is the same.
            text.append("samples ")
                    .append(samples.relativize(file))
                    .append(' ')
                    .append(FilesRead.contents(file))
                    .append('\n');
        }
        new TreeMap<>(given).forEach((option, value) -> {
            if (!WITHOUT_EFFECT.contains(option)) {
                text.append(option).append(' ').append(value).append('\n');
            }
        });
        try {
            byte[] hash =
                    MessageDigest.getInstance("SHA-256").digest(text.toString().getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(hash);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }
}
