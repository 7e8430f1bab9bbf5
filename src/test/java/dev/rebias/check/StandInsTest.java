package dev.rebias.check;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** Steps that run other people's programs, with programs in their place that answer as they do. */
@EnabledOnOs(OS.LINUX)
final class StandInsTest {
    @TempDir
    Path folder;

    private Path programs;

    @BeforeEach
    void aFolderOfPrograms() throws IOException {
        programs = Files.createDirectories(folder.resolve("programs"));
    }

    private void program(String name, String body) throws IOException {
        Path file = programs.resolve(name);
        Files.writeString(file, "#!/bin/sh\n" + body);
        assertThat(file.toFile().setExecutable(true)).isTrue();
    }

    private int run(Step step, double seconds, Optional<Path> baseline, StringWriter said) throws IOException {
        GpuCheck.Plan plan = new GpuCheck.Plan(seconds, folder, List.of(step), baseline, folder, programs.toString());
        return GpuCheck.run(plan, new PrintWriter(said));
    }

    private List<List<String>> table(Step step, int number) throws IOException {
        JsonNode found =
                Findings.JSON.readTree(folder.resolve(step.id() + ".json").toFile());
        List<List<String>> rows = new ArrayList<>();
        for (JsonNode row : found.at("/tables/" + number + "/rows")) {
            List<String> cells = new ArrayList<>();
            row.forEach(c -> cells.add(c.asText()));
            rows.add(cells);
        }
        return rows;
    }

    private List<String> failures(Step step) throws IOException {
        List<String> all = new ArrayList<>();
        Findings.JSON
                .readTree(folder.resolve(step.id() + ".json").toFile())
                .get("failures")
                .forEach(f -> all.add(f.asText()));
        return all;
    }

    /** As compute-sanitizer 2025 ends; of racecheck another word. */
    private static String checks(String memcheck, String initcheck, String racecheck) {
        return "echo \"$@\" >>" + "calls\n" + "echo '========= COMPUTE-SANITIZER'; echo 'cuda  ready: a card'\n"
                + "case \"$2\" in\nmemcheck) " + memcheck + ";;\ninitcheck) " + initcheck + ";;\nracecheck) "
                + racecheck
                + ";;\nesac\n";
    }

    private static final String GOOD = "echo '========= ERROR SUMMARY: 0 errors'";
    private static final String NO_HAZARD =
            "echo '========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)'";

    @Test
    void whatTheCheckersFindIsReadFromTheirSummaries() throws IOException {
        program("compute-sanitizer", checks(GOOD, "echo '========= ERROR SUMMARY: 3 errors'; exit 9", NO_HAZARD));
        StringWriter said = new StringWriter();
        assertThat(run(Step.TOOLS, 30, Optional.empty(), said)).isEqualTo(5);
        assertThat(table(Step.TOOLS, 0).stream().map(r -> List.of(r.get(0), r.get(1), r.get(3))))
                .containsExactly(
                        List.of("memcheck", "0", "ERROR SUMMARY: 0 errors"),
                        List.of("initcheck", "9", "ERROR SUMMARY: 3 errors"),
                        List.of("racecheck", "0", "RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)"));
        assertThat(failures(Step.TOOLS)).singleElement().asString().contains("initcheck", "3 errors", "exit code 9");
        assertThat(said.toString()).contains("tools        FAILED", "verdict: WRONG");
        List<String> calls = Files.readAllLines(folder.resolve("calls"));
        assertThat(calls).hasSize(3).allMatch(c -> c.endsWith("dev.rebias.cli.Main doctor --deep"));
        assertThat(calls.get(1)).contains("--tool initcheck --error-exitcode 9").contains("-Drebias.cuda.pool=none");
        assertThat(calls.get(0)).contains("-Drebias.cuda.pool=none", "--report-api-errors no");
        assertThat(calls.get(2)).doesNotContain("pool=none");
    }

    @Test
    void hazardsWithoutAnExitCodeAndCheckersWithoutASummaryAreFailuresToo() throws IOException {
        program(
                "compute-sanitizer",
                checks(
                        GOOD,
                        "echo '========= Error: the target application could not be run'; exit 255",
                        "echo '========= RACECHECK SUMMARY: 2 hazards displayed (2 errors, 0 warnings)'"));
        assertThat(run(Step.TOOLS, 30, Optional.empty(), new StringWriter())).isEqualTo(5);
        assertThat(failures(Step.TOOLS)).hasSize(2);
        assertThat(failures(Step.TOOLS).get(0)).contains("initcheck", "exit code 255", "no summary");
        assertThat(failures(Step.TOOLS).get(1)).contains("racecheck", "2 hazards");
    }

    @Test
    void aCheckerThatTakesTooLongIsCutOffAndTheOthersRun() throws IOException {
        program("compute-sanitizer", checks("sleep 300", GOOD, NO_HAZARD));
        StringWriter said = new StringWriter();
        assertThat(run(Step.TOOLS, 9, Optional.empty(), said)).isEqualTo(1);
        assertThat(table(Step.TOOLS, 0).stream().map(r -> List.of(r.get(0), r.get(1))))
                .containsExactly(List.of("memcheck", "cut off"), List.of("initcheck", "0"), List.of("racecheck", "0"));
        assertThat(failures(Step.TOOLS)).isEmpty();
        assertThat(said.toString()).contains("tools        cut off").contains("what it has is kept");
    }

    @Test
    void theProfilersFiguresBecomeATable() throws IOException {
        program("ncu", """
                echo "$@" >calls
                echo '==PROF== Connected to process 4711'
                echo '==PROF== Profiling "error_moments_warp" - 0: 0%....50%....100% - 3 passes'
                echo '"ID","Process ID","Process Name","Host Name","Kernel Name","Context","Stream","Block Size","Grid Size","Device","CC","Section Name","Metric Name","Metric Unit","Metric Value"'
                line() { echo "\\"$1\\",\\"4711\\",\\"java\\",\\"127.0.0.1\\",\\"$2\\",\\"1\\",\\"13\\",\\"(256, 1, 1)\\",\\"(64, 1, 1)\\",\\"0\\",\\"9.0\\",\\"Command line profiler metrics\\",\\"$3\\",\\"$4\\",\\"$5\\""; }
                line 0 error_moments_warp dram__bytes_read.sum byte 2,147,483,648
                line 0 error_moments_warp dram__bytes_write.sum byte 65,536
                line 0 error_moments_warp gpu__time_duration.sum ns 512,000
                line 0 error_moments_warp smsp__average_warps_issue_stalled_long_scoreboard_per_issue_active.ratio inst 17.25
                line 1 error_moments_fold dram__bytes_read.sum byte 4,096
                line 1 error_moments_fold gpu__time_duration.sum ns n/a
                """);
        StringWriter said = new StringWriter();
        run(Step.TOOLS, 30, Optional.empty(), said);
        assertThat(said.toString()).contains("tools        passed");
        assertThat(table(Step.TOOLS, 0).get(0).get(3)).isEqualTo("2 launches measured");
        assertThat(table(Step.TOOLS, 1))
                .containsExactly(
                        List.of("0 error_moments_warp", "512.00", "2147.48", "0.07", "17.25", "-", "-", "-", "-", "-"),
                        List.of("1 error_moments_fold", "-", "0.00", "-", "-", "-", "-", "-", "-", "-"));
        assertThat(Files.readString(folder.resolve("calls")))
                .contains("--csv", "dram__bytes_read.sum", "regex:error_moments.*", "gpu-check --run moments --out")
                // 13 shapes, of each the moments, their fold and the fold alone: none is left out.
                .contains("-Drebias.moments.once=true", "--launch-count 100");
    }

    @Test
    void aProfilerThatMayNotReadCountersIsNoFault() throws IOException {
        program("ncu", "echo '==ERROR== ERR_NVGPUCTRPERM - The user does not have permission'; exit 1\n");
        StringWriter said = new StringWriter();
        run(Step.TOOLS, 30, Optional.empty(), said);
        assertThat(said.toString()).contains("tools        passed");
        assertThat(table(Step.TOOLS, 0).get(0))
                .contains("ncu", "1")
                .last()
                .asString()
                .contains("measured nothing");
    }

    /** A python3 that has torch, and starts scripts of the shell. */
    private void python() throws IOException {
        program("python3", "if [ \"$1\" = -c ]; then echo 2.9.0; else exec sh \"$@\"; fi\n");
    }

    @Test
    void aScriptsFiguresAndOursAreInOneTable() throws IOException {
        python();
        Path script = Files.writeString(folder.resolve("baseline.sh"), """
                while [ "$1" != --json ]; do shift; done
                cat >"$2" <<'JSON'
                {"torch": "2.9.0", "device": "NVIDIA X", "samples": 256, "batch": 128, "copy GB/s": 4000.0, "sum GB/s": 4200.5,
                 "mobilenet": {"U float32 contiguous ms": 100.0, "U TF32 channels last ms": 50.0, "mean error left by layer": 0.001,
                               "layer, cnn2snn's way, U": 30.0}}
                JSON
                """);
        Findings corrections = new Findings(folder.resolve("corrections.json"));
        Findings.Table runs = corrections.table(
                "corrections of 512 images of 224x224, warm: the median of 5",
                "network",
                "reference",
                "errors",
                "batch",
                "cold s",
                "warm s",
                "bytes up");
        runs.row("MobileNetV1", "layer", "yes", "128", "1.000", "0.300", "1");
        runs.row("MobileNetV1", "network", "no", "128", "1.000", "0.200", "1");
        runs.row("MobileNetV1", "layer", "yes", "32", "1.000", "0.900", "1");
        runs.row("ResNet-50", "layer", "yes", "128", "1.000", "0.700", "1");
        Findings moments = new Findings(folder.resolve("moments.json"));
        moments.table("one call", "what", "shape", "us", "GB/s", "share of the copy")
                .row("moments", "[128, 64, 112, 112]", "10.0", "3000.0", "90 %");
        StringWriter said = new StringWriter();
        run(Step.BASELINE, 30, Optional.of(script), said);
        assertThat(said.toString()).contains("baseline     passed");
        // 256 of the 512 images take half of ours; U is 50 ms.
        assertThat(table(Step.BASELINE, 0))
                .containsExactlyInAnyOrder(
                        List.of("MobileNetV1", "script: U float32 contiguous ms", "100.0", "2.00"),
                        List.of("MobileNetV1", "script: U TF32 channels last ms", "50.0", "1.00"),
                        List.of("MobileNetV1", "script: layer, cnn2snn's way, U", "1500.0", "30.00"),
                        List.of("MobileNetV1", "rebias: layer", "150.0", "3.00"),
                        List.of("MobileNetV1", "rebias: network, without errors", "100.0", "2.00"));
        assertThat(table(Step.BASELINE, 1))
                .containsExactly(List.of("moments", "[128, 64, 112, 112]", "3000.0", "75 %"));
        assertThat(Files.readString(folder.resolve("summary.md")))
                .contains("rebias: layer", "cnn2snn's way", "NVIDIA X");
    }

    @Test
    void aScriptThatFailsOrTakesTooLongIsSaid() throws IOException {
        python();
        Path fails =
                Files.writeString(folder.resolve("fails.sh"), "echo 'torch.cuda.OutOfMemoryError: 3 GiB'; exit 1\n");
        StringWriter said = new StringWriter();
        run(Step.BASELINE, 30, Optional.of(fails), said);
        assertThat(said.toString()).contains("baseline     skipped").contains("OutOfMemoryError: 3 GiB");
        Path hangs = Files.writeString(folder.resolve("hangs.sh"), "sleep 300\n");
        said = new StringWriter();
        run(Step.BASELINE, 6, Optional.of(hangs), said);
        assertThat(said.toString()).contains("baseline     cut off").contains("its time was spent");
        // What it has written by then is of no matter, whole or not.
        for (String written : List.of("{\\\"mobile", "{}")) {
            Path ends = Files.writeString(folder.resolve("ends.sh"), "echo \"" + written + "\" >\"$2\"; exit 1\n");
            said = new StringWriter();
            assertThat(run(Step.BASELINE, 30, Optional.of(ends), said)).isEqualTo(1);
            assertThat(said.toString()).contains("baseline     skipped").contains("the script failed, exit 1");
        }
    }

    @Test
    void testsWhoseProcessDiesAreCountedAndItsEndIsSaid() throws IOException {
        Path classes = Files.createDirectories(folder.resolve("check/lib/classes"));
        Path source = Files.writeString(folder.resolve("ConsoleLauncher.java"), """
                package org.junit.platform.console;

                public class ConsoleLauncher {
                    public static void main(String[] arguments) {
                        System.out.println("JUnit Jupiter > ContractTest > layers() :: SUCCESSFUL");
                        System.out.println("JUnit Jupiter > ContractTest > groups() :: STARTED");
                        Runtime.getRuntime().halt(134);
                    }
                }
                """);
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        assertThat(compiler.run(null, null, null, "-d", classes.toString(), source.toString()))
                .isZero();
        StringWriter said = new StringWriter();
        assertThat(run(Step.CONTRACT, 60, Optional.empty(), said)).isEqualTo(5);
        assertThat(said.toString())
                .contains("contract     FAILED", "1 tests, 0 failed, 0 skipped, then its process ended with exit 134");
        assertThat(Findings.JSON
                        .readTree(folder.resolve("contract.json").toFile())
                        .get("complete")
                        .asBoolean())
                .isFalse();
    }

    @Test
    void withoutTorchThereIsNoBaseline() throws IOException {
        program("python3", "echo \"ModuleNotFoundError: No module named 'torch'\"; exit 1\n");
        StringWriter said = new StringWriter();
        run(Step.BASELINE, 30, Optional.of(folder.resolve("any.py")), said);
        assertThat(said.toString()).contains("python3 has no torch here").contains("No module named 'torch'");
    }
}
