package dev.rebias.fuzz;

import com.sun.management.OperatingSystemMXBean;
import dev.rebias.cli.CommandLineRun;
import dev.rebias.device.Emulator;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;

/**
 * A process that works off cases: seed, first number, step, end, the time from which on none is begun, folder, device.
 * For each it says {@code start N} and then {@code end N VERDICT TEXT} on its standard output, so that who reads that
 * knows of which case it died.
 */
public final class FuzzWorker {
    /** The exit code after a case that took too long. */
    static final int HUNG = 97;

    /** Of the process's own time, so that a busy machine makes no case a hang. */
    private static final long MOST_CPU_NANOS = 20_000_000_000L;

    /** For cases that wait for what never comes. */
    private static final long MOST_NANOS = 180_000_000_000L;

    private static final OperatingSystemMXBean SYSTEM =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    /**
     * What there is to be said about any input: corrected, a usage that makes no sense, not supported, corrected but
     * worse.
     */
    private static final Set<Integer> ANSWERS = Set.of(0, 2, 4, 5);

    private static final int LONGEST_SENTENCE = 600;
    private static final int MOST_LINES = 8;

    private FuzzWorker() {}

    public static void main(String[] args) throws IOException, InterruptedException {
        long seed = Long.parseLong(args[0]);
        int first = Integer.parseInt(args[1]);
        int step = Integer.parseInt(args[2]);
        int end = Integer.parseInt(args[3]);
        long deadline = Long.parseLong(args[4]);
        Path folder = Path.of(args[5]);
        String device = args[6];
        PrintStream answers = System.out;
        AtomicReference<Optional<Start>> started = new AtomicReference<>(Optional.empty());
        watch(started, answers);
        Path work = folder.resolve("work");
        for (int n = first; n < end && System.currentTimeMillis() < deadline; n += step) {
            delete(work);
            Files.createDirectory(work);
            List<String> command = FuzzInput.write(seed, n, work, device);
            Set<String> before = files(folder);
            answers.println("start " + n);
            System.err.println("case " + n);
            started.set(Optional.of(new Start(System.nanoTime(), SYSTEM.getProcessCpuTime())));
            CommandLineRun.Captured outcome = run(command);
            started.set(Optional.empty());
            String verdict = verdict(outcome, before, files(folder), work);
            if (!verdict.startsWith("fine")) {
                keep(folder, n);
            }
            answers.println("end " + n + " " + outcome.exitCode() + " " + verdict);
            answers.flush();
        }
        long peak = ManagementFactory.getMemoryPoolMXBeans().stream()
                .filter(p -> p.getType() == java.lang.management.MemoryType.HEAP)
                .mapToLong(p -> p.getPeakUsage().getUsed())
                .sum();
        answers.println("heap " + peak);
        answers.println("cpu " + SYSTEM.getProcessCpuTime());
        answers.flush();
        System.exit(0);
    }

    /**
     * Copies the files of a case that went wrong to where the next one does not delete them, beside a worker's folder.
     */
    static void keep(Path folder, int number) throws IOException {
        Path work = folder.resolve("work");
        Path kept = folder.resolveSibling("case-" + number);
        if (Files.isDirectory(work)) {
            try (Stream<Path> files = Files.walk(work)) {
                for (Path f : files.toList()) {
                    Path to = kept.resolve(work.relativize(f).toString());
                    if (Files.isDirectory(f)) {
                        Files.createDirectories(to);
                    } else {
                        Files.copy(f, to, StandardCopyOption.REPLACE_EXISTING);
                    }
                }
            }
        }
    }

    /** When a case began: by the clock, and by what the process had computed until then. */
    private record Start(long nanos, long cpuNanos) {
        boolean tooLongAgo() {
            return System.nanoTime() - nanos > MOST_NANOS || SYSTEM.getProcessCpuTime() - cpuNanos > MOST_CPU_NANOS;
        }
    }

    private static void watch(AtomicReference<Optional<Start>> started, PrintStream answers) {
        Thread watchdog = new Thread(() -> {
            while (true) {
                try {
                    Thread.sleep(200);
                } catch (InterruptedException e) {
                    return;
                }
                if (started.get().map(Start::tooLongAgo).orElse(false)) {
                    Thread.getAllStackTraces().forEach((thread, stack) -> {
                        System.err.println(thread);
                        Stream.of(stack).limit(12).forEach(frame -> System.err.println("    " + frame));
                    });
                    answers.flush();
                    Runtime.getRuntime().halt(HUNG);
                }
            }
        });
        watchdog.setDaemon(true);
        watchdog.start();
    }

    private static CommandLineRun.Captured run(List<String> command) {
        return CommandLineRun.captured(command.toArray(String[]::new));
    }

    private static String verdict(CommandLineRun.Captured outcome, Set<String> before, Set<String> after, Path work) {
        List<String> said = outcome.err().lines().filter(l -> !l.isBlank()).toList();
        long sentences = said.stream().filter(l -> l.startsWith("rebias:")).count();
        String last = said.isEmpty() ? "" : said.get(said.size() - 1);
        if (!ANSWERS.contains(outcome.exitCode())) {
            return "INTERNAL exit " + outcome.exitCode() + ": " + last;
        }
        if (outcome.exitCode() != 0 && (sentences != 1 || said.size() > MOST_LINES)) {
            return "INTERNAL " + said.size() + " lines: " + String.join(" / ", said);
        }
        if (said.stream().anyMatch(l -> l.length() > LONGEST_SENTENCE || l.startsWith("\tat "))) {
            return "INTERNAL not a sentence: " + last;
        }
        if ((outcome.out() + outcome.err()).chars().anyMatch(c -> c < ' ' && c != '\n' && c != '\r' && c != '\t')) {
            return "INTERNAL control characters: " + last.replaceAll("\\p{Cntrl}", "?");
        }
        if (Emulator.present()) {
            Emulator emulator = Emulator.require();
            String violation = emulator.violation();
            if (!violation.isEmpty()) {
                emulator.reset();
                return "ACCESS " + violation.lines().findFirst().orElse("");
            }
        }
        List<String> left = new ArrayList<>(after);
        left.removeAll(before);
        // The report is asked for, and says what went wrong; a model is written if it was corrected alone.
        Set<String> written =
                outcome.exitCode() == 0 ? Set.of("work/c.onnx", "work/c.h5", "work/r.json") : Set.of("work/r.json");
        left.removeIf(f -> written.contains(f) || f.startsWith("tmp/onnxruntime-java") || f.startsWith("tmp/jna"));
        if (!left.isEmpty()) {
            return "FILES " + left + " after exit " + outcome.exitCode() + " in " + work.getFileName();
        }
        return "fine " + last;
    }

    private static Set<String> files(Path folder) throws IOException {
        Set<String> names = new TreeSet<>();
        try (Stream<Path> files = Files.walk(folder)) {
            files.forEach(f -> names.add(folder.relativize(f).toString()));
        }
        return names;
    }

    private static void delete(Path folder) throws IOException {
        if (Files.exists(folder)) {
            try (Stream<Path> files = Files.walk(folder)) {
                for (Path f : files.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(f);
                }
            }
        }
    }
}
