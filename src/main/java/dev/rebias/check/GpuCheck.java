package dev.rebias.check;

import com.fasterxml.jackson.databind.JsonNode;
import dev.rebias.error.Failure;
import dev.rebias.error.UsageException;
import java.io.File;
import java.io.IOException;
import java.io.PrintWriter;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Runs the steps one after another, each as a process of its own: an error that a process cannot get over ends that
 * step alone. What a step leaves of its time is the others'.
 */
public final class GpuCheck {
    private static final String ENTRY = "dev.rebias.cli.Main";
    private static final double LEAST_SECONDS = 5;
    private static final int RESTARTS = 5;
    private static final List<String> INHERITED =
            List.of("rebias.cache", "rebias.kernels", "rebias.cuda.libraries", "rebias.cuda.home");
    private static final int DEVICE_UNAVAILABLE = 3;
    private static final String POOL = "rebias.cuda.pool";
    private static final long TESTS_POOL = 8L << 30;
    /** JUnit's console ends with 0, with 1 where tests failed, and with 2 where there were none. */
    private static final int MOST_OF_JUNITS_EXITS = 2;
    /** A first {@code import torch} reads gigabytes of libraries. */
    private static final int TORCH_SECONDS = 90;

    private final Plan plan;
    private final PrintWriter say;
    private final long start = System.nanoTime();
    private Summary summary;
    /** Whether the machine has no card that can be used, as the first step has found. */
    private boolean cardless;

    /**
     * What is asked for.
     *
     * @param budgetSeconds for everything
     * @param out the folder for all results
     * @param steps the steps to run, in their order
     * @param baseline a script that does the same work in PyTorch
     * @param home the program's folder, in which {@code check/} may lie
     * @param path where programs are looked for
     */
    public record Plan(
            double budgetSeconds, Path out, List<Step> steps, Optional<Path> baseline, Path home, String path) {}

    private GpuCheck(Plan plan, PrintWriter say) {
        this.plan = plan;
        this.say = say;
    }

    /**
     * Runs the check.
     *
     * @param say gets a line for each step
     * @return the program's exit code: 0 all is right, 1 not all could be checked, 3 no card, 5 something is wrong
     */
    public static int run(Plan plan, PrintWriter say) throws IOException {
        Files.createDirectories(plan.out());
        return new GpuCheck(plan, say).run();
    }

    private int run() throws IOException {
        summary = new Summary(plan.out());
        int share = plan.steps().stream().mapToInt(Step::share).sum();
        for (Step step : plan.steps()) {
            double left = plan.budgetSeconds() - elapsed();
            double limit = left * step.share() / share;
            share -= step.share();
            Outcome outcome = left < LEAST_SECONDS
                    ? new Outcome(step, Outcome.Status.CUT_OFF, "no time was left", 0, 0)
                    : outcome(step, limit);
            summary.add(outcome);
            say.println(String.format(
                    Locale.ROOT,
                    "%-12s %-8s %6.1f s of %4.0f  %s",
                    step.id(),
                    outcome.status().text(),
                    outcome.seconds(),
                    outcome.limit(),
                    outcome.note()));
            say.flush();
            if (cardless) {
                say.println("no other step can be run without a card: see " + log(step));
                say.flush();
                return DEVICE_UNAVAILABLE;
            }
        }
        say.println("verdict: " + summary.verdict() + "; " + plan.out().resolve("summary.md"));
        say.flush();
        return switch (summary.verdict()) {
            case "right" -> 0;
            case "WRONG" -> 5;
            default -> 1;
        };
    }

    private double elapsed() {
        return (System.nanoTime() - start) / 1e9;
    }

    private Path log(Step step) {
        return plan.out().resolve(step.id() + ".log");
    }

    /** What comes of a step; one that cannot be run, or its results not be read, has failed, and the others run. */
    private Outcome outcome(Step step, double limit) {
        double before = elapsed();
        try {
            return run(step, limit);
        } catch (IOException | RuntimeException e) {
            return new Outcome(
                    step,
                    Outcome.Status.FAILED,
                    "it could not be run, or its results not be read: " + Failure.deepest(e),
                    elapsed() - before,
                    limit);
        }
    }

    private Outcome run(Step step, double limit) throws IOException {
        Files.deleteIfExists(plan.out().resolve(step.id() + ".json"));
        return switch (step) {
            case CONTRACT ->
                tests(
                        step,
                        limit,
                        List.of(
                                "dev.rebias.oracle.DeviceContractTest",
                                "dev.rebias.oracle.LayerGroupTest",
                                "dev.rebias.oracle.InputErrorSumsTest",
                                "dev.rebias.oracle.ReroundedLayersTest",
                                "dev.rebias.oracle.ElementwiseGroupTest"));
            case GOLDENS ->
                tests(step, limit, List.of("dev.rebias.golden.GoldenTest", "dev.rebias.golden.KerasGoldenTest"));
            case TOOLS -> tools(limit);
            case BASELINE -> baseline(limit);
            default -> own(step, limit);
        };
    }

    /** A step of ours. The probe goes on where a call has ended its process. */
    private Outcome own(Step step, double limit) throws IOException {
        if (step == Step.PROBE) {
            Files.deleteIfExists(plan.out().resolve(CardSteps.PROBE_TABLE));
        }
        List<String> command = java(classPath(), List.of());
        command.addAll(List.of(
                ENTRY, "gpu-check", "--run", step.id(), "--out", plan.out().toString()));
        double seconds = 0;
        External.Ended ended;
        int starts = 0;
        do {
            ended = External.run(command, plan.out(), Map.of(), log(step), starts > 0, limit - seconds);
            seconds += ended.seconds();
            starts++;
        } while (step == Step.PROBE
                && !ended.cutOff()
                && ended.exit() != 0
                && ended.exit() != DEVICE_UNAVAILABLE
                && starts < RESTARTS
                && seconds + LEAST_SECONDS < limit);
        cardless |= step == plan.steps().get(0) && ended.exit() == DEVICE_UNAVAILABLE;
        return judged(step, ended, seconds, limit);
    }

    private Outcome judged(Step step, External.Ended ended, double seconds, double limit) throws IOException {
        Path file = plan.out().resolve(step.id() + ".json");
        List<String> failures = new ArrayList<>();
        boolean complete = false;
        if (Files.exists(file)) {
            JsonNode findings = Findings.JSON.readTree(file.toFile());
            findings.get("failures").forEach(f -> failures.add(f.asText()));
            complete = findings.get("complete").asBoolean();
        }
        if (!failures.isEmpty()) {
            return new Outcome(step, Outcome.Status.FAILED, failures.get(0), seconds, limit);
        }
        if (ended.cutOff()) {
            return new Outcome(step, Outcome.Status.CUT_OFF, "its time was spent; what it has is kept", seconds, limit);
        }
        return ended.exit() == 0 && complete
                ? new Outcome(step, Outcome.Status.PASSED, "", seconds, limit)
                : new Outcome(
                        step,
                        Outcome.Status.FAILED,
                        "exit " + ended.exit() + ": " + lastLine(log(step)),
                        seconds,
                        limit);
    }

    private static String lastLine(Path log) throws IOException {
        if (!Files.exists(log)) {
            return "";
        }
        try (Stream<String> lines = Files.lines(log, java.nio.charset.StandardCharsets.ISO_8859_1)) {
            return lines.filter(l -> !l.isBlank())
                    .reduce((a, b) -> b)
                    .orElse("")
                    .strip();
        }
    }

    /** The emulator's folder, where the step environment has found that the card is the emulator. */
    private Optional<String> emulator() throws IOException {
        Path file = plan.out().resolve(Step.ENVIRONMENT.id() + ".json");
        if (!Files.exists(file)) {
            return Optional.empty();
        }
        JsonNode folder = Findings.JSON.readTree(file.toFile()).at("/facts/" + CardSteps.EMULATOR);
        return folder.isMissingNode() ? Optional.empty() : Optional.of(folder.asText());
    }

    /** This program's, for processes that begin in another folder. */
    private static String classPath() {
        return Stream.of(System.getProperty("java.class.path").split(File.pathSeparator))
                .map(entry -> Path.of(entry).toAbsolutePath().toString())
                .collect(Collectors.joining(File.pathSeparator));
    }

    /** The same Java, with the same options. */
    private static List<String> java(String classPath, List<String> more) {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                .filter(a -> !a.startsWith("-agentlib") && !a.startsWith("-XX:AOTCache="))
                .forEach(command::add);
        // What Main takes from the environment, JUnit's launcher does not.
        for (String name : INHERITED) {
            String value = System.getProperty(name);
            if (value != null) {
                command.add("-D" + name + "=" + value);
            }
        }
        command.addAll(more);
        command.addAll(List.of("-cp", classPath));
        return command;
    }

    /** Tests of the check archive, by JUnit's console, on the card alone. */
    private Outcome tests(Step step, double limit, List<String> classes) throws IOException {
        Path check = plan.home().resolve("check");
        Path jars = check.resolve("lib");
        if (!Files.isDirectory(jars)) {
            return new Outcome(
                    step,
                    Outcome.Status.SKIPPED,
                    "the tests are not here: unpack rebias-*-check.tar.xz where the other archive was unpacked",
                    0,
                    limit);
        }
        String classPath;
        try (Stream<Path> files = Files.list(jars)) {
            classPath = String.join(
                    File.pathSeparator,
                    Stream.concat(files.map(Path::toString).sorted(), Stream.of(classPath()))
                            .toList());
        }
        Path reports = plan.out().resolve(step.id() + "-junit");
        TestReport.delete(reports);
        Optional<String> emulator = emulator();
        boolean one = emulator.isPresent() && step == Step.GOLDENS;
        List<String> properties = new ArrayList<>(List.of("-Drebias.test.devices=cuda"));
        emulator.ifPresent(folder -> properties.add("-Drebias.test.emulator=" + folder));
        if (one) {
            // All of them take the emulator minutes: the pair whose samples are the fewest.
            properties.add("-Drebias.goldens.pair=OCR_W8A8");
        }
        if (emulator.isEmpty()) {
            // Each test opens the card: most of its memory need not be taken each time.
            if (System.getProperty(POOL) == null) {
                properties.add("-D" + POOL + "=" + TESTS_POOL);
            }
            properties.add("-Drebias.goldens=brief");
        }
        List<String> command = java(classPath, properties);
        command.addAll(List.of(
                "org.junit.platform.console.ConsoleLauncher",
                "execute",
                "--disable-banner",
                "--disable-ansi-colors",
                "--details=testfeed",
                "--fail-if-no-tests",
                "--include-tag=cuda",
                "--exclude-tag=emulator",
                "--exclude-tag=real-libraries",
                "--reports-dir=" + reports));
        if (one) {
            command.add("--select-method=dev.rebias.golden.GoldenTest"
                    + "#correctionsMeetTheGoldenCorrectionsForBothReferencesAndAllBatchSizes"
                    + "(java.lang.String, dev.rebias.golden.ReferencePair)");
        } else {
            classes.forEach(c -> command.add("--select-class=" + c));
        }
        External.Ended ended = External.run(command, check, Map.of(), log(step), false, limit);
        TestReport report = TestReport.of(reports, log(step));
        Findings findings = new Findings(plan.out().resolve(step.id() + ".json"));
        findings.fact("tests", Integer.toString(report.tests()));
        findings.fact("skipped", Integer.toString(report.skipped()));
        findings.fact("failed", Integer.toString(report.failed().size()));
        report.failed().forEach(name -> findings.failure(name));
        if (ended.cutOff()) {
            String came = report.tests() + " tests before its time was spent";
            return new Outcome(
                    step,
                    report.failed().isEmpty() ? Outcome.Status.CUT_OFF : Outcome.Status.FAILED,
                    report.failed().isEmpty()
                            ? came
                            : came + ", failed: " + report.failed().get(0),
                    ended.seconds(),
                    limit);
        }
        boolean whole = ended.exit() <= MOST_OF_JUNITS_EXITS;
        if (whole) {
            findings.complete();
        }
        String count = report.tests() + " tests, " + report.failed().size() + " failed, " + report.skipped()
                + " skipped" + (whole ? "" : ", then its process ended with exit " + ended.exit());
        boolean good = ended.exit() == 0 && report.failed().isEmpty() && report.tests() > report.skipped();
        return new Outcome(
                step,
                good ? Outcome.Status.PASSED : Outcome.Status.FAILED,
                good
                        ? count
                        : count + ": " + report.failed().stream().findFirst().orElse(lastLine(log(step))),
                ended.seconds(),
                limit);
    }

    private Outcome tools(double limit) throws IOException {
        NvidiaTools tools = NvidiaTools.on(plan.path());
        if (tools.isEmpty()) {
            return new Outcome(
                    Step.TOOLS, Outcome.Status.SKIPPED, "neither compute-sanitizer nor ncu is on the PATH", 0, limit);
        }
        Findings findings = new Findings(plan.out().resolve("tools.json"));
        External.Ended ended = tools.run(findings, plan.out(), limit, options -> java(classPath(), options));
        findings.complete();
        return judged(Step.TOOLS, ended, ended.seconds(), limit);
    }

    private Outcome baseline(double limit) throws IOException {
        if (plan.baseline().isEmpty()) {
            return new Outcome(Step.BASELINE, Outcome.Status.SKIPPED, "no --baseline SCRIPT was given", 0, limit);
        }
        double before = elapsed();
        Optional<Path> python = External.onPath("python3", plan.path());
        Optional<String> torch = python.flatMap(
                p -> External.firstLines(List.of(p.toString(), "-c", "import torch; print(torch.__version__)"), 1, (int)
                        Math.min(TORCH_SECONDS, Math.max(1, limit))));
        if (torch.isEmpty() || !torch.get().matches("\\d.*")) {
            return new Outcome(
                    Step.BASELINE,
                    Outcome.Status.SKIPPED,
                    "python3 has no torch here: " + torch.orElse("there is no python3 on the PATH"),
                    0,
                    limit);
        }
        Path json = plan.out().resolve("baseline-script.json");
        Files.deleteIfExists(json);
        List<String> command = new ArrayList<>(List.of(
                python.get().toString(), plan.baseline().get().toAbsolutePath().toString(), "--json", json.toString()));
        if (emulator().isPresent()) {
            // No card for PyTorch either: its quick way, on the processor.
            command.addAll(
                    List.of("--device", "cpu", "--quick", "--samples", "2", "--batch", "2", "--networks", "mobilenet"));
        }
        External.Ended ended = External.run(
                command, plan.out(), Map.of(), log(Step.BASELINE), false, Math.max(0, limit - (elapsed() - before)));
        Findings findings = new Findings(plan.out().resolve("baseline.json"));
        // What another program did not finish says nothing of this one.
        if (ended.exit() != 0 || !Files.exists(json)) {
            return ended.cutOff()
                    ? new Outcome(Step.BASELINE, Outcome.Status.CUT_OFF, "its time was spent", ended.seconds(), limit)
                    : new Outcome(
                            Step.BASELINE,
                            Outcome.Status.SKIPPED,
                            "the script failed, exit " + ended.exit() + ": " + lastLine(log(Step.BASELINE)),
                            ended.seconds(),
                            limit);
        }
        Baseline.compare(findings, Findings.JSON.readTree(json.toFile()), plan.out());
        findings.complete();
        return judged(Step.BASELINE, ended, ended.seconds(), limit);
    }

    /** The steps that a user's choice leaves, in their order. */
    public static List<Step> steps(Optional<String> only, Optional<String> from) {
        if (only.isPresent() && from.isPresent()) {
            throw new UsageException("--only and --from exclude each other");
        }
        List<Step> all = Arrays.asList(Step.values());
        if (only.isPresent()) {
            return Stream.of(only.get().split(",", -1))
                    .map(GpuCheck::step)
                    .sorted()
                    .toList();
        }
        return from.map(f -> all.subList(all.indexOf(step(f)), all.size())).orElse(all);
    }

    /** The step of that name. */
    public static Step step(String id) {
        return Step.of(id)
                .orElseThrow(() -> new UsageException(
                        "there is no step '" + id + "': use one of " + String.join(", ", Step.ids())));
    }
}
