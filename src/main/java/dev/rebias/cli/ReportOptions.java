package dev.rebias.cli;

import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Option;

/** The options that say what is told of a run, and where. */
final class ReportOptions {
    @Option(
            names = "--report",
            paramLabel = "R",
            description = "Also write the report to this file: .html for people, .json for programs, .csv with a line "
                    + "per layer; - for JSON on standard output. May be given more than once.")
    private List<Path> reports = List.of();

    @Option(names = "--all", description = "Print every layer, in the model's order, and not only the ten worst.")
    private boolean all;

    @Option(
            names = "--per-channel",
            description = "With the standard error of every channel's mean error in the report.")
    private boolean perChannel;

    @Option(names = "--quiet", description = "Print nothing but errors.")
    private boolean quiet;

    List<Path> reports() {
        return reports;
    }

    boolean all() {
        return all;
    }

    boolean perChannel() {
        return perChannel;
    }

    boolean quiet() {
        return quiet;
    }
}
