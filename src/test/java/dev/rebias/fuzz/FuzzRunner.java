package dev.rebias.fuzz;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Forks the processes that work off the cases, one per processor, starts another where one has died, and counts. */
final class FuzzRunner {
    private final long seed;
    private final int first;
    private final int cases;
    private final Duration limit;
    private final String device;
    private final Path folder;
    private final Map<String, Integer> counts = new TreeMap<>();
    private final List<String> faults = new ArrayList<>();
    private long heap;
    private long cpuNanos;
    /** What the processes would have computed had each had a processor to itself. */
    private long mostCpuNanos;

    private int tried;

    /**
     * Prepares a run.
     *
     * @param first the number of the first case
     * @param limit after which no case is begun
     * @param folder where cases are worked on, and those stay that went wrong
     */
    FuzzRunner(long seed, int first, int cases, Duration limit, String device, Path folder) {
        this.seed = seed;
        this.first = first;
        this.cases = cases;
        this.limit = limit;
        this.device = device;
        this.folder = folder;
    }

    /** What went wrong, one line for each case: its number and what happened. */
    List<String> run() throws Exception {
        int processes = Runtime.getRuntime().availableProcessors();
        long start = System.nanoTime();
        Instant end = Instant.now().plus(limit);
        ExecutorService pool = Executors.newFixedThreadPool(processes);
        try {
            List<Future<?>> all = new ArrayList<>();
            for (int i = 0; i < processes; i++) {
                int own = i;
                all.add(pool.submit(() -> {
                    work(own, processes, end);
                    return null;
                }));
            }
            for (Future<?> one : all) {
                one.get();
            }
        } finally {
            pool.shutdownNow();
        }
        mostCpuNanos = processes * (System.nanoTime() - start);
        return faults;
    }

    private void work(int own, int processes, Instant end) throws IOException, InterruptedException {
        int next = first + own;
        while (next < first + cases && Instant.now().isBefore(end)) {
            Path place = Files.createDirectories(folder.resolve("process-" + own));
            Path tmp = Files.createDirectories(place.resolve("tmp"));
            Path log = folder.resolve("process-" + own + ".log");
            Process process = new ProcessBuilder(command(next, processes, end, place, tmp))
                    .redirectError(ProcessBuilder.Redirect.appendTo(log.toFile()))
                    .start();
            int at = next;
            boolean open = false;
            boolean begun = false;
            try (BufferedReader answers = process.inputReader(StandardCharsets.UTF_8)) {
                for (String line = answers.readLine(); line != null; line = answers.readLine()) {
                    String[] words = line.split(" ", 5);
                    if (words[0].equals("start")) {
                        at = Integer.parseInt(words[1]);
                        open = true;
                        begun = true;
                    } else if (words[0].equals("end")) {
                        open = false;
                        begunAndEnded();
                        ended(at, words, place);
                        next = at + processes;
                    } else if (words[0].equals("heap")) {
                        heap(Long.parseLong(words[1]));
                    } else if (words[0].equals("cpu")) {
                        computed(Long.parseLong(words[1]));
                    }
                }
            }
            int exitCode = process.waitFor();
            if (exitCode == 0) {
                return;
            }
            if (!begun) {
                throw new IllegalStateException("the process for the cases does not start, see " + log);
            }
            if (!open) {
                fault("DEAD", at, "exit " + exitCode + " between cases, see " + log, place);
                next = Math.max(next, at + processes);
                continue;
            }
            begunAndEnded();
            fault(exitCode == FuzzWorker.HUNG ? "HANG" : "DEAD", at, "exit " + exitCode + ", see " + log, place);
            next = at + processes;
        }
    }

    private List<String> command(int next, int processes, Instant end, Path place, Path tmp) {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx1g",
                "-XX:MaxDirectMemorySize=2g",
                "-XX:+UseSerialGC",
                // Cases are short and all different: the second compiler takes longer than it saves.
                "-XX:TieredStopAtLevel=1",
                "-XX:-CreateCoredumpOnCrash",
                "-XX:ErrorFile=" + folder.resolve("hs_err_%p.log"),
                "-Djava.io.tmpdir=" + tmp,
                "-Djava.awt.headless=true",
                "-Drebias.openmp.single=true",
                "-cp",
                System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"))));
        for (String property : List.of(
                "org.bytedeco.javacpp.maxPhysicalBytes",
                "slf4j.internal.verbosity",
                "rebias.test.emulator",
                "onnxruntime.native.path")) {
            if (System.getProperty(property) != null) {
                command.add(1, "-D" + property + "=" + System.getProperty(property));
            }
        }
        if (System.getProperty("rebias.cache") != null) {
            // Of their own: what they make is not for the kernels that are compiled for every card.
            command.add(1, "-Drebias.cache=" + System.getProperty("rebias.cache") + "-fuzz");
        }
        if (device.equals("cuda")) {
            // Every tensor is an allocation of its own, so that the emulator sees each access beyond one.
            command.add(1, "-Drebias.cuda.pool=none");
        }
        command.addAll(Arrays.asList(
                FuzzWorker.class.getName(),
                Long.toString(seed),
                Integer.toString(next),
                Integer.toString(processes),
                Integer.toString(first + cases),
                Long.toString(end.toEpochMilli()),
                place.toString(),
                device));
        return command;
    }

    private synchronized void heap(long bytes) {
        heap = Math.max(heap, bytes);
    }

    private synchronized void computed(long nanos) {
        cpuNanos += nanos;
    }

    /** What share of this machine's processors the cases had, at most 1. */
    double share() {
        return Math.min(1, (double) cpuNanos / mostCpuNanos);
    }

    private void ended(int number, String[] words, Path place) throws IOException {
        count("exit " + words[2]);
        String verdict = words[3];
        if (!verdict.equals("fine")) {
            fault(verdict, number, words.length > 4 ? words[4] : "", place);
        }
    }

    private synchronized void count(String what) {
        counts.merge(what, 1, Integer::sum);
    }

    private synchronized void fault(String kind, int number, String what, Path place) throws IOException {
        counts.merge(kind, 1, Integer::sum);
        faults.add(kind + " case " + number + " of seed " + seed + ": " + what);
        if (!Files.exists(folder.resolve("case-" + number))) {
            FuzzWorker.keep(place, number);
        }
    }

    /** The most that a process's heap held, in bytes. */
    long heap() {
        return heap;
    }

    private synchronized void begunAndEnded() {
        tried++;
    }

    /** How many cases were run. */
    int tried() {
        return tried;
    }

    /** How many cases gave a corrected model. */
    int corrected() {
        return counts.getOrDefault("exit 0", 0);
    }

    /** The figures in one line. */
    String figures() {
        return String.format(
                "fuzz on %s, seed %d: %d of %d cases, %d corrected, %d refused, %d not written since worse; dead "
                        + "%d, hangs %d, internal errors %d, accesses out of bounds %d, files left %d, heap at "
                        + "most %d MB",
                device,
                seed,
                tried,
                cases,
                counts.getOrDefault("exit 0", 0),
                counts.getOrDefault("exit 2", 0) + counts.getOrDefault("exit 4", 0),
                counts.getOrDefault("exit 5", 0),
                counts.getOrDefault("DEAD", 0),
                counts.getOrDefault("HANG", 0),
                counts.getOrDefault("INTERNAL", 0),
                counts.getOrDefault("ACCESS", 0),
                counts.getOrDefault("FILES", 0),
                heap >> 20);
    }
}
