package dev.rebias.cli;

import dev.rebias.error.UsageException;
import java.math.BigInteger;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Option;

/** How much memory tensors may take. */
final class MemoryOptions {
    @Option(
            names = "--memory-limit",
            paramLabel = "SIZE",
            description = "Let tensors that wait for their turn go to a temporary file (in TMPDIR) once all take more "
                    + "than this, e.g. 800m or 8g (default: no limit on the CPU, 60 %% of the pool on a "
                    + "GPU). Does not change the result. What --adjust weights adds up comes on "
                    + "top: for a layer with k weights to an output, the products of every "
                    + "two of its inputs, 8 k^2 bytes several times over.")
    private Optional<String> memoryLimit = Optional.empty();

    /** In bytes; {@code Long.MAX_VALUE} for the device's own limit. */
    long limit() {
        return memoryLimit.map(MemoryOptions::bytes).orElse(Long.MAX_VALUE);
    }

    /** The limit as it was given; empty where it was not. */
    Optional<Limit> given() {
        return memoryLimit.map(m -> new Limit(m, bytes(m)));
    }

    /**
     * A limit.
     *
     * @param text as on the command line
     */
    record Limit(String text, long bytes) {}

    private static long bytes(String size) {
        Matcher m = Pattern.compile("(\\d+)([kmg]?)").matcher(size.toLowerCase(Locale.ROOT));
        if (!m.matches()) {
            throw new UsageException(
                    "'" + size + "' is no memory limit: give bytes, or a number with k, m or g, as in 8g");
        }
        int thousands = " kmg".indexOf(m.group(2).isEmpty() ? " " : m.group(2));
        return new BigInteger(m.group(1))
                .shiftLeft(10 * thousands)
                .min(BigInteger.valueOf(Long.MAX_VALUE))
                .longValue();
    }
}
