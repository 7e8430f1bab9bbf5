package dev.rebias.batch;

import java.util.List;
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

    /** The options that name what is read, without dashes. */
    public List<String> inputs() {
        return kinds.keySet().stream()
                .filter(k -> kinds.get(k) == Kind.INPUT)
                .sorted()
                .toList();
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
