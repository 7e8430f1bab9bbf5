package dev.rebias.cli;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/** The command line from inside a process. */
public final class CommandLineRun {
    private CommandLineRun() {}

    /**
     * What came of a command.
     *
     * @param out what it wrote to standard output
     * @param err what it wrote to standard error
     */
    public record Captured(int exitCode, String out, String err) {
        /** Both, standard output first. */
        public String said() {
            return out + err;
        }
    }

    /** Runs a command and keeps what it says. */
    public static Captured captured(String... arguments) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        PrintStream realOut = System.out;
        PrintStream realErr = System.err;
        System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
        int exitCode;
        try {
            exitCode = Main.run(arguments);
        } finally {
            System.setOut(realOut);
            System.setErr(realErr);
        }
        return new Captured(exitCode, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
    }
}
