package dev.rebias.check;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * NVIDIA's checkers around {@code doctor --deep}, and its profiler around the moments step, where they are installed.
 */
final class NvidiaTools {
    private static final String ENTRY = "dev.rebias.cli.Main";
    private static final List<String> CHECKS = List.of("memcheck", "initcheck", "racecheck");
    /**
     * The last line that a check prints: {@code ========= ERROR SUMMARY: 0 errors}, {@code RACECHECK SUMMARY: 0 hazards
     * displayed (..)}.
     */
    private static final Pattern SUMMARY = Pattern.compile("=+ \\w+ SUMMARY: (\\d+) (?:error|hazard).*");

    private static final String NO_POOL = "-Drebias.cuda.pool=none";
    private static final String EACH_ONCE = "-D" + CardSteps.ONCE + "=true";
    /** More than the step moments makes of these kernels where it makes each call once. */
    private static final int LAUNCHES = 100;

    private static final String STALL = "smsp__average_warps_issue_stalled_";
    private static final List<String> STALLS =
            List.of("long_scoreboard", "short_scoreboard", "barrier", "lg_throttle", "math_pipe_throttle", "wait");

    private final Optional<Path> sanitizer;
    private final Optional<Path> profiler;

    private NvidiaTools(Optional<Path> sanitizer, Optional<Path> profiler) {
        this.sanitizer = sanitizer;
        this.profiler = profiler;
    }

    /** Those on the PATH. */
    static NvidiaTools on(String path) {
        return new NvidiaTools(External.onPath("compute-sanitizer", path), External.onPath("ncu", path));
    }

    boolean isEmpty() {
        return sanitizer.isEmpty() && profiler.isEmpty();
    }

    /**
     * Runs each with its share of the time.
     *
     * @param java this program's command up to its class, for additional options of Java
     * @return exit 0; cut off if one was
     */
    External.Ended run(Findings findings, Path out, double limit, Function<List<String>, List<String>> java)
            throws IOException {
        List<String> names = new ArrayList<>();
        sanitizer.ifPresent(s -> names.addAll(CHECKS));
        profiler.ifPresent(p -> names.add("ncu"));
        Findings.Table table = findings.table("each in " + out, "tool", "exit", "s", "summary");
        double seconds = 0;
        boolean cutOff = false;
        for (int i = 0; i < names.size(); i++) {
            String name = names.get(i);
            boolean check = CHECKS.contains(name);
            Path log = out.resolve("tools-" + name + ".log");
            List<String> command = new ArrayList<>(check ? checking(name) : profiling());
            // Without a pool every tensor is an allocation, whose bounds and first bytes the checker knows.
            List<String> sanitized = name.equals("racecheck") ? List.of() : List.of(NO_POOL);
            command.addAll(java.apply(check ? sanitized : List.of(EACH_ONCE)));
            command.addAll(
                    check
                            ? List.of(ENTRY, "doctor", "--deep")
                            : List.of(
                                    ENTRY,
                                    "gpu-check",
                                    "--run",
                                    Step.MOMENTS.id(),
                                    "--out",
                                    Files.createDirectories(out.resolve("ncu")).toString()));
            External.Ended ended =
                    External.run(command, out, Map.of(), log, false, (limit - seconds) / (names.size() - i));
            seconds += ended.seconds();
            cutOff |= ended.cutOff();
            List<String> lines =
                    Files.readString(log, StandardCharsets.ISO_8859_1).lines().toList();
            String summary = check ? judged(findings, name, ended, lines, log) : profiled(findings, ended, lines, log);
            table.row(
                    name,
                    ended.cutOff() ? "cut off" : Integer.toString(ended.exit()),
                    String.format(Locale.ROOT, "%.0f", ended.seconds()),
                    summary);
        }
        return new External.Ended(0, cutOff, seconds);
    }

    private List<String> checking(String tool) {
        List<String> command =
                new ArrayList<>(List.of(sanitizer.orElseThrow().toString(), "--tool", tool, "--error-exitcode", "9"));
        if (tool.equals("memcheck")) {
            // Libraries try calls that may fail; our own failures are exceptions.
            command.addAll(List.of("--report-api-errors", "no"));
        }
        return command;
    }

    private List<String> profiling() {
        List<String> metrics =
                new ArrayList<>(List.of("gpu__time_duration.sum", "dram__bytes_read.sum", "dram__bytes_write.sum"));
        STALLS.forEach(reason -> metrics.add(STALL + reason + "_per_issue_active.ratio"));
        return List.of(
                profiler.orElseThrow().toString(),
                "--csv",
                "--print-units",
                "base",
                "--kernel-name",
                "regex:error_moments.*",
                "--launch-count",
                Integer.toString(LAUNCHES),
                "--metrics",
                String.join(",", metrics));
    }

    /** What a check says; anything but a summary without errors is a failure, unless its time was spent. */
    private static String judged(Findings findings, String name, External.Ended ended, List<String> lines, Path log) {
        Optional<Matcher> summary =
                lines.stream().map(SUMMARY::matcher).filter(Matcher::matches).reduce((a, b) -> b);
        if (ended.cutOff()) {
            return "its time was spent";
        }
        if (summary.isEmpty()) {
            findings.failure(name + " ended with exit code " + ended.exit() + " and gave no summary (" + log + ")");
            return "none";
        }
        String text = summary.get().group().replaceFirst("^=+ ", "");
        if (ended.exit() != 0 || !summary.get().group(1).equals("0")) {
            findings.failure(name + ": " + text + ", exit code " + ended.exit() + " (" + log + ")");
        }
        return text;
    }

    /** What the profiler measured: a table of its launches, one column for each figure. */
    private static String profiled(Findings findings, External.Ended ended, List<String> lines, Path log) {
        List<String> head = List.of();
        Map<String, Map<String, String>> launches = new LinkedHashMap<>();
        for (String line : lines) {
            List<String> cells = cells(line);
            if (cells.contains("Metric Name") && cells.contains("Kernel Name")) {
                head = cells;
            } else if (!head.isEmpty() && cells.size() == head.size()) {
                String launch = cells.get(head.indexOf("ID")) + " " + cells.get(head.indexOf("Kernel Name"));
                launches.computeIfAbsent(launch, k -> new LinkedHashMap<>())
                        .put(cells.get(head.indexOf("Metric Name")), cells.get(head.indexOf("Metric Value")));
            }
        }
        if (launches.isEmpty()) {
            // It is refused where nobody but root may read the card's counters: a limit of the machine, not a fault.
            return ended.cutOff() ? "its time was spent" : "measured nothing (" + log + ")";
        }
        List<String> columns = new ArrayList<>(List.of("launch", "us", "DRAM MB read", "DRAM MB written"));
        STALLS.forEach(reason -> columns.add(reason.replace('_', ' ')));
        Findings.Table table = findings.table(
                "error moments by ncu; stalls in warps that wait for each one that issues",
                columns.toArray(String[]::new));
        launches.forEach((launch, values) -> {
            List<String> row = new ArrayList<>(List.of(
                    launch,
                    scaled(values, "gpu__time_duration.sum", 1e-3),
                    scaled(values, "dram__bytes_read.sum", 1e-6),
                    scaled(values, "dram__bytes_write.sum", 1e-6)));
            STALLS.forEach(reason -> row.add(scaled(values, STALL + reason + "_per_issue_active.ratio", 1)));
            table.row(row.toArray(String[]::new));
        });
        return launches.size() + " launches measured";
    }

    /** A figure in other units; ncu groups digits by commas. */
    private static String scaled(Map<String, String> values, String metric, double by) {
        String value = values.getOrDefault(metric, "").replace(",", "");
        return value.matches("-?\\d+(\\.\\d+)?([eE][-+]?\\d+)?")
                ? String.format(Locale.ROOT, "%.2f", Double.parseDouble(value) * by)
                : "-";
    }

    /** The cells of a line of quoted values; none where it is no such line. */
    private static List<String> cells(String line) {
        String text = line.strip();
        if (text.length() < 2 || !text.startsWith("\"") || !text.endsWith("\"")) {
            return List.of();
        }
        return List.of(text.substring(1, text.length() - 1).split("\",\"", -1));
    }
}
