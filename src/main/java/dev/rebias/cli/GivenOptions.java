package dev.rebias.cli;

import static java.util.stream.Collectors.joining;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/** The options of a command and their values, those included that were not given but have a default. */
final class GivenOptions {
    private GivenOptions() {}

    static Map<String, String> of(CommandSpec command) {
        Map<String, String> all = new LinkedHashMap<>();
        for (OptionSpec option : command.options()) {
            Object value = option.getValue();
            Object held = value instanceof Optional<?> optional ? optional.orElse(null) : value;
            boolean said = held != null
                    && !Boolean.FALSE.equals(held)
                    && !(held instanceof Collection<?> list && list.isEmpty());
            if (said && !option.usageHelp() && !option.versionHelp()) {
                all.put(option.longestName(), text(held));
            }
        }
        return all;
    }

    /** As it is given on a command line. */
    private static String text(Object value) {
        if (value instanceof Enum<?> constant) {
            return constant.name().toLowerCase(Locale.ROOT);
        }
        return value instanceof Collection<?> list
                ? list.stream().map(Object::toString).collect(joining(","))
                : value.toString();
    }
}
