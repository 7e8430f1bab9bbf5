package dev.rebias.cli;

/** The command line from inside a process, for tests of other packages. */
public final class CommandLineRun {
    private CommandLineRun() {}

    /** Runs a command and gives its exit code; what it says goes to {@link System#out} and {@link System#err}. */
    public static int run(String... arguments) {
        return Main.run(arguments);
    }
}
