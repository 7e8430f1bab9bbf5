package dev.rebias.error;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;

/**
 * Text for people. Names come from files that others made: a control character or a line break in one could forge a
 * line of output or steer a terminal, and one of a million characters would bury the message. Reports for programs
 * (JSON) hold the exact names instead.
 */
public final class PrintableText {
    /** Characters of a name that are shown. */
    private static final int LONGEST_NAME = 120;
    /** Characters of a sentence that are shown. */
    private static final int LONGEST_SENTENCE = 590;

    private static final String CUT = "...";

    private PrintableText() {}

    /**
     * A name, on one line, with what cannot be seen as escapes; a long one without its middle. Changes nothing when it
     * is applied again.
     */
    public static String name(String name) {
        return shortened(name, LONGEST_NAME);
    }

    /**
     * A sentence that may hold names: as {@link #name}, for each passage in single quotes, and for the whole at
     * {@value #LONGEST_SENTENCE} characters.
     */
    public static String sentence(String text) {
        StringBuilder out = new StringBuilder();
        int at = 0;
        for (int open = opening(text, 0); open >= 0; open = opening(text, at)) {
            int close = text.indexOf('\'', open + 1);
            if (close < 0) {
                break;
            }
            out.append(text, at, open + 1)
                    .append(shortened(text.substring(open + 1, close), LONGEST_NAME))
                    .append('\'');
            at = close + 1;
        }
        return shortened(out.append(text, at, text.length()).toString(), LONGEST_SENTENCE);
    }

    /**
     * A line for people: as {@link String#format} with the root locale, each value that is a text or a path made
     * printable as a sentence is.
     */
    public static String format(String format, Object... values) {
        Object[] printable = Arrays.stream(values)
                .map(v -> v instanceof String || v instanceof Path ? sentence(v.toString()) : v)
                .toArray();
        return String.format(Locale.ROOT, format, printable);
    }

    /** The next quote that opens: the one in "isn't" does not. */
    private static int opening(String text, int from) {
        int open = text.indexOf('\'', from);
        while (open > 0 && Character.isLetterOrDigit(text.charAt(open - 1))) {
            open = text.indexOf('\'', open + 1);
        }
        return open;
    }

    /**
     * Text of another library on one line: line breaks, with the white space around them, become one space. Takes time
     * in proportion to the length.
     */
    public static String oneLine(String text) {
        StringBuilder out = new StringBuilder();
        text.lines().map(String::strip).filter(line -> !line.isEmpty()).forEach(line -> {
            if (!out.isEmpty()) {
                out.append(' ');
            }
            out.append(line);
        });
        return out.toString();
    }

    private static String shortened(String text, int longest) {
        // Escapes make text longer, never shorter: what lies beyond the limit at either end cannot show.
        if (text.length() > 2 * longest) {
            text = text.substring(0, longest) + text.substring(text.length() - longest);
            String shown = escaped(text);
            return cut(shown, longest);
        }
        String shown = escaped(text);
        return shown.length() <= longest ? shown : cut(shown, longest);
    }

    private static String cut(String text, int longest) {
        int head = longest - longest / 3 - CUT.length();
        int tail = text.length() - longest / 3;
        // Not between the halves of a pair.
        head -= Character.isLowSurrogate(text.charAt(head)) ? 1 : 0;
        tail += Character.isLowSurrogate(text.charAt(tail)) ? 1 : 0;
        return text.substring(0, head) + CUT + text.substring(tail);
    }

    private static String escaped(String text) {
        if (text.codePoints().allMatch(PrintableText::isPrintable)) {
            return text;
        }
        StringBuilder out = new StringBuilder();
        text.codePoints().forEach(c -> {
            switch (c) {
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                default -> {
                    if (isPrintable(c)) {
                        out.appendCodePoint(c);
                    } else {
                        out.append(
                                c > 0xffff
                                        ? String.format(Locale.ROOT, "\\U%08x", c)
                                        : String.format(Locale.ROOT, "\\u%04x", c));
                    }
                }
            }
        });
        return out.toString();
    }

    /**
     * Whether a character shows as itself: control characters, what changes the direction of writing, line separators
     * and halves of pairs do not.
     */
    private static boolean isPrintable(int c) {
        return switch (Character.getType(c)) {
            case Character.CONTROL,
                    Character.FORMAT,
                    Character.LINE_SEPARATOR,
                    Character.PARAGRAPH_SEPARATOR,
                    Character.SURROGATE,
                    Character.PRIVATE_USE,
                    Character.UNASSIGNED -> false;
            default -> true;
        };
    }

    /** A share, short: 1230 %, 12 %, -15 %, 0.30 %, 2.0e-05 %. */
    public static String percent(double share) {
        double value = 100 * share;
        return String.format(Locale.ROOT, Math.abs(value) >= 10 ? "%.0f %%" : "%.2g %%", value);
    }
}
