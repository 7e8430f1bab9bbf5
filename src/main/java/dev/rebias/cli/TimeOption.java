package dev.rebias.cli;

import dev.rebias.error.UsageException;
import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A time as options have it: a number of seconds, or with its unit, {@code 420s}, {@code 10m}, {@code 2h}. */
final class TimeOption {
    private static final Pattern TIME = Pattern.compile("(\\d{1,6})(s|m|h)?");

    private TimeOption() {}

    /**
     * Parses a time.
     *
     * @param option the option's name, for the message
     * @throws UsageException if it is none, or zero
     */
    static Duration of(String option, String text) {
        Matcher m = TIME.matcher(text);
        if (!m.matches() || Long.parseLong(m.group(1)) == 0) {
            throw new UsageException(option + " '" + text + "' is no time: write seconds, or e.g. 420s or 10m");
        }
        long n = Long.parseLong(m.group(1));
        return switch (m.group(2) == null ? "s" : m.group(2)) {
            case "m" -> Duration.ofMinutes(n);
            case "h" -> Duration.ofHours(n);
            default -> Duration.ofSeconds(n);
        };
    }
}
