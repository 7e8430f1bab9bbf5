package dev.rebias.cli;

import java.util.LinkedHashMap;
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
                    && !(held instanceof Iterable<?> list && !list.iterator().hasNext());
            if (said && !option.usageHelp() && !option.versionHelp()) {
                all.put(option.longestName(), held.toString());
            }
        }
        return all;
    }
}
