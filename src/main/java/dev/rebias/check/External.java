package dev.rebias.check;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** Other programs: whether they are there, and running them for no longer than they may. */
final class External {
    private static final int QUICK_SECONDS = 20;

    private External() {}

    /**
     * How a program ended.
     *
     * @param exit its exit code; -1 if it was ended
     * @param cutOff whether its time was spent
     */
    record Ended(int exit, boolean cutOff, double seconds) {}

    /** The program of that name that comes first on the PATH. */
    static Optional<Path> onPath(String program, String path) {
        return Stream.of(path.split(File.pathSeparator, -1))
                .filter(folder -> !folder.isEmpty())
                .map(folder -> Path.of(folder, program))
                .filter(file -> Files.isRegularFile(file) && Files.isExecutable(file))
                .findFirst();
    }

    /** What a quick program prints, its first lines joined; empty where it cannot be run. */
    static Optional<String> firstLines(List<String> command, int lines) {
        return firstLines(command, lines, QUICK_SECONDS);
    }

    /** The same of one that may take so many seconds. */
    static Optional<String> firstLines(List<String> command, int lines, int seconds) {
        try {
            Process p = new ProcessBuilder(command).redirectErrorStream(true).start();
            p.getOutputStream().close();
            if (!p.waitFor(seconds, TimeUnit.SECONDS)) {
                p.destroyForcibly();
                return Optional.of("did not answer within " + seconds + " s");
            }
            String text = new String(p.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            return Optional.of(String.join("; ", text.lines().limit(lines).toList()));
        } catch (IOException e) {
            return Optional.empty();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return Optional.empty();
        }
    }

    /**
     * Runs a program with its output in a file, and ends it with all that it started when its time is spent.
     *
     * @param append whether the file goes on
     * @throws IOException if it cannot be started
     */
    static Ended run(
            List<String> command,
            Path folder,
            Map<String, String> environment,
            Path log,
            boolean append,
            double seconds)
            throws IOException {
        ProcessBuilder builder = new ProcessBuilder(command)
                .directory(folder.toFile())
                .redirectErrorStream(true)
                .redirectOutput(
                        append
                                ? ProcessBuilder.Redirect.appendTo(log.toFile())
                                : ProcessBuilder.Redirect.to(log.toFile()));
        builder.environment().putAll(environment);
        long start = System.nanoTime();
        Process p = builder.start();
        p.getOutputStream().close();
        boolean ended;
        try {
            ended = p.waitFor((long) (seconds * 1000), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            ended = false;
        }
        if (!ended) {
            p.descendants().forEach(ProcessHandle::destroyForcibly);
            p.destroyForcibly();
            try {
                p.waitFor(10, TimeUnit.SECONDS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
        return new Ended(ended ? p.exitValue() : -1, !ended, (System.nanoTime() - start) / 1e9);
    }
}
