package dev.rebias.cli;

import java.io.ByteArrayOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
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

    /** Standard error without lines of progress: which come depends on how long the machine takes. */
    private static final class WithoutProgress extends FilterOutputStream {
        WithoutProgress(OutputStream to) {
            super(to);
        }

        private static boolean isProgress() {
            return Thread.currentThread().getName().equals(Progress.THREAD);
        }

        @Override
        public void write(int b) throws IOException {
            if (!isProgress()) {
                out.write(b);
            }
        }

        @Override
        public void write(byte[] bytes, int from, int n) throws IOException {
            if (!isProgress()) {
                out.write(bytes, from, n);
            }
        }
    }

    /** Runs a command and keeps what it says, but for its progress. */
    public static Captured captured(String... arguments) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        PrintStream realOut = System.out;
        PrintStream realErr = System.err;
        System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(new WithoutProgress(err), true, StandardCharsets.UTF_8));
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
