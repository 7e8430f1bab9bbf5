package dev.rebias.batch;

import java.util.Map;

/**
 * The options that a job may have.
 *
 * @param kinds for each, by its name without dashes, how it takes a value
 */
public record OptionKinds(Map<String, Kind> kinds) {
    public OptionKinds {
        kinds = Map.copyOf(kinds);
    }

    /** How an option takes a value. */
    public enum Kind {
        /** It is there or not: true or false. */
        FLAG,
        /** One value. */
        VALUE,
        /** One value, or several in a list. */
        LIST,
        /** The path of a file or folder that is read. */
        INPUT
    }
}
