package dev.rebias.cli;

import dev.rebias.batch.OptionKinds;
import dev.rebias.error.PrintableText;
import dev.rebias.error.UsageException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;

/**
 * The options of {@code rebias correct} as those of a batch's jobs: the same, read by the same command. To find out
 * what options that command has takes longer (12 ms) than to check most jobs, so it is done once. For one thread.
 */
final class CorrectArguments {
    /** What a batch decides for all of its jobs, or what is for people at a terminal. */
    private static final Set<String> NOT_A_JOBS =
            Set.of("--output", "--device", "--report", "--all", "--quiet", "--skip-existing", "--help", "--version");

    private final CommandLine line;

    CorrectArguments() {
        PrintWriter nowhere = new PrintWriter(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8);
        this.line = new CommandLine(new CorrectCommand())
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setOut(nowhere)
                .setErr(nowhere);
    }

    /** The options that a job may have. */
    OptionKinds kinds() {
        Map<String, OptionKinds.Kind> kinds = new LinkedHashMap<>();
        for (OptionSpec option : options()) {
            String name = option.longestName();
            if (!NOT_A_JOBS.contains(name)) {
                kinds.put(name.substring(2), kind(option));
            }
        }
        return new OptionKinds(kinds);
    }

    private static OptionKinds.Kind kind(OptionSpec option) {
        if (option.arity().max() == 0) {
            return OptionKinds.Kind.FLAG;
        }
        if (option.isMultiValue()) {
            return OptionKinds.Kind.LIST;
        }
        Class<?>[] inner = option.auxiliaryTypes();
        return option.type() == Path.class || (inner.length > 0 && inner[inner.length - 1] == Path.class)
                ? OptionKinds.Kind.INPUT
                : OptionKinds.Kind.VALUE;
    }

    /**
     * A command that is ready to work, and prints nothing. It is the same object each time: the one before must not be
     * used any more.
     *
     * @throws UsageException if an option has no such value
     */
    CorrectCommand parse(List<String> arguments) {
        List<String> all = new ArrayList<>(arguments);
        all.add("--quiet");
        try {
            line.parseArgs(all.toArray(String[]::new));
        } catch (CommandLine.ParameterException e) {
            throw new UsageException(PrintableText.oneLine(e.getMessage()), e);
        }
        return line.getCommand();
    }

    /** All options of the command, with the values that were read last. */
    List<OptionSpec> options() {
        return line.getCommandSpec().options();
    }
}
