package dev.rebias.check;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.rebias.error.UsageException;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What becomes of the steps' results, and of steps that do not end. */
final class SummaryTest {
    @TempDir
    private Path folder;

    private void add(Step step, Outcome.Status status) throws IOException {
        new Summary(folder).add(new Outcome(step, status, "because", 1, 10));
    }

    private String text() throws IOException {
        return Files.readString(folder.resolve("summary.md"));
    }

    @ParameterizedTest
    @CsvSource({"PASSED, right", "FAILED, WRONG", "CUT_OFF, not all checked", "SKIPPED, not all checked"})
    void theVerdictIsThatOfTheStepsThatDecide(Outcome.Status last, String verdict) throws IOException {
        for (Step step : Step.values()) {
            add(step, step.decides() ? Outcome.Status.PASSED : Outcome.Status.SKIPPED);
        }
        add(Step.GOLDENS, last);
        assertThat(text()).startsWith("# rebias on this card: " + verdict + "\n");
    }

    @Test
    void aStepThatFindsSomethingWrongDecidesEvenIfItOnlyMeasures() throws IOException {
        for (Step step : Step.values()) {
            add(step, Outcome.Status.PASSED);
        }
        add(Step.TOOLS, Outcome.Status.FAILED);
        assertThat(text()).contains("WRONG");
    }

    @Test
    void findingsOfAnEarlierRunStayAndThoseOfTheSameStepAreReplaced() throws IOException {
        Findings first = new Findings(folder.resolve("moments.json"));
        first.table("one call", "what", "GB/s").row("a|b", "17");
        first.complete();
        add(Step.MOMENTS, Outcome.Status.PASSED);
        Findings kernels = new Findings(folder.resolve("kernels.json"));
        kernels.fact("serial", "3 s");
        add(Step.KERNELS, Outcome.Status.CUT_OFF);
        assertThat(text())
                .contains("| a\\|b | 17 |")
                .contains("* serial: 3 s")
                .contains("| kernels | Compiling the kernels | cut off |");
        new Findings(folder.resolve("moments.json")).fact("nothing", "yet");
        add(Step.MOMENTS, Outcome.Status.FAILED);
        assertThat(text()).doesNotContain("a\\|b").contains("* nothing: yet").contains("* serial: 3 s");
    }

    @Test
    void aProgramIsEndedWithItsChildrenWhenItsTimeIsSpent() throws Exception {
        Path log = folder.resolve("log");
        External.Ended ended = External.run(
                List.of("sh", "-c", "echo $$; sleep 600 & echo $!; wait"), folder, Map.of(), log, false, 1);
        assertThat(ended.cutOff()).isTrue();
        assertThat(ended.seconds()).isBetween(1.0, 20.0);
        List<String> processes = Files.readAllLines(log);
        assertThat(processes).hasSize(2);
        for (String process : processes) {
            Path status = Path.of("/proc", process, "stat");
            for (long end = System.nanoTime() + 10_000_000_000L; isAtWork(status) && System.nanoTime() < end; ) {
                Thread.sleep(10); // the system may take a moment to end it
            }
            assertThat(isAtWork(status)).isFalse();
        }
    }

    /** Whether there is such a process, which has not ended: one that has may wait for its parent to ask how. */
    private static boolean isAtWork(Path status) throws IOException {
        try {
            String text = Files.readString(status);
            return text.charAt(text.lastIndexOf(')') + 2) != 'Z';
        } catch (IOException e) {
            return Files.exists(status); // it may have gone while this was read
        }
    }

    @Test
    void testsThatLeftNoReportsAreReadFromWhatTheConsoleHasPrinted() throws IOException {
        Path log = Files.writeString(folder.resolve("contract.log"), """
                SLF4J(W): No SLF4J providers were found.
                JUnit Jupiter > DeviceContractTest > layersAreTheOracles(String) > [1] cuda :: STARTED
                JUnit Jupiter > DeviceContractTest > layersAreTheOracles(String) > [1] cuda :: SUCCESSFUL
                JUnit Jupiter > DeviceContractTest > layersAreTheOracles(String) > [2] cuda :: STARTED
                JUnit Jupiter > DeviceContractTest > layersAreTheOracles(String) > [2] cuda :: FAILED
                \torg.opentest4j.AssertionFailedError: expected: 1 but was: 2
                JUnit Jupiter > DeviceContractTest > largeTensors() :: SKIPPED
                \tReason: no room
                JUnit Jupiter > DeviceContractTest > memory() :: STARTED
                """);
        TestReport report = TestReport.of(folder.resolve("contract-junit"), log);
        assertThat(report.tests()).isEqualTo(3);
        assertThat(report.skipped()).isEqualTo(1);
        assertThat(report.failed()).containsExactly("DeviceContractTest > layersAreTheOracles(String) > [2] cuda");

        Path reports = Files.createDirectories(folder.resolve("contract-junit"));
        Files.writeString(
                reports.resolve("TEST-junit-jupiter.xml"), "<testsuite name=\"x\" tests=\"7\" skipped=\"0\">");
        assertThat(TestReport.of(reports, log).tests()).isEqualTo(7);
        TestReport.delete(reports);
        assertThat(TestReport.of(reports, log).tests()).isEqualTo(3);
    }

    @Test
    void aBaselineThatNobodyNamedIsSkippedAndSaid() throws IOException {
        StringWriter said = new StringWriter();
        int code = GpuCheck.run(
                new GpuCheck.Plan(60, folder, List.of(Step.BASELINE), Optional.empty(), folder, ""),
                new PrintWriter(said));
        assertThat(code).isEqualTo(1);
        assertThat(said.toString()).contains("no --baseline SCRIPT was given").contains("verdict: not all checked");
        assertThat(text()).contains("| baseline |");
    }

    @Test
    void stepsWithoutTheCheckArchiveSayWhatToUnpack() throws IOException {
        StringWriter said = new StringWriter();
        GpuCheck.run(
                new GpuCheck.Plan(60, folder, List.of(Step.CONTRACT, Step.GOLDENS), Optional.empty(), folder, ""),
                new PrintWriter(said));
        assertThat(said.toString().lines().filter(l -> l.contains("unpack rebias-*-check.tar.xz")))
                .hasSize(2);
    }

    @Test
    void noTimeIsLeftForStepsBehindTheBudget() throws IOException {
        StringWriter said = new StringWriter();
        GpuCheck.run(
                new GpuCheck.Plan(0, folder, List.of(Step.PROBE), Optional.empty(), folder, ""), new PrintWriter(said));
        assertThat(said.toString()).contains("cut off").contains("no time was left");
    }

    @Test
    void stepsAreChosenByNameInTheirOrder() {
        assertThat(GpuCheck.steps(Optional.of("moments,doctor"), Optional.empty()))
                .containsExactly(Step.DOCTOR, Step.MOMENTS);
        assertThat(GpuCheck.steps(Optional.empty(), Optional.of("kernels")))
                .containsExactly(Step.KERNELS, Step.TOOLS, Step.BASELINE);
        assertThat(GpuCheck.steps(Optional.empty(), Optional.empty())).containsExactly(Step.values());
        assertThatThrownBy(() -> GpuCheck.steps(Optional.of("moment"), Optional.empty()))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("moment")
                .hasMessageContaining("moments");
        assertThatThrownBy(() -> GpuCheck.steps(Optional.of("probe"), Optional.of("probe")))
                .isInstanceOf(UsageException.class);
    }

    @Test
    void testReportsAreCountedWithTheNamesOfWhatFailed() throws IOException {
        Files.writeString(folder.resolve("TEST-junit-jupiter.xml"), """
                <?xml version="1.0" encoding="UTF-8"?>
                <testsuite name="JUnit Jupiter" tests="4" skipped="1" failures="1" errors="1" time="1">
                <testcase name="good" classname="a.B" time="0"/>
                <testcase name="left out" classname="a.B" time="0"><skipped/></testcase>
                <testcase name="[1] x, y" classname="a.B" time="0">
                <failure message="m" type="t"/></testcase>
                <testcase name="broken" classname="a.c.D" time="0"><error message="m"/></testcase>
                </testsuite>
                """);
        TestReport report = TestReport.read(folder);
        assertThat(report).isEqualTo(new TestReport(4, 1, List.of("B.[1] x, y", "D.broken")));
        assertThat(TestReport.read(folder.resolve("none")).tests()).isZero();
    }

    @Test
    void theEmulatorsTableAllowsWhatTheCardDid() {
        List<String[]> rows = Stream.of(
                        "cudnn\t2-D\tforward\tGEMM\tFMA\t1\tSUCCESS\t1\tyes\tyes",
                        "cudnn\t2-D\tforward\tGEMM\tFMA\t7\tSUCCESS\t1\tyes\tno",
                        "cudnn\t2-D strided\tforward\tGEMM\tFMA\t1\tSUCCESS\t1\tyes\tyes",
                        "cudnn\t2-D strided\tforward\tGEMM\tFMA\t7\tNOT_SUPPORTED\t-\t-\t-",
                        "cudnn\t2-D dilated\tforward\tGEMM\tFMA\t1\tSUCCESS\t1\tyes\tyes",
                        "cudnn\t2-D grouped\tforward\tGEMM\tFMA\t1\tSUCCESS\t1\tyes\tyes",
                        "cudnn\t3-D\tforward\tGEMM\tFMA\t1\tNOT_SUPPORTED\t-\t-\t-",
                        "cudnn\t3-D dilated\tforward\tGEMM\tFMA\t1\tSUCCESS\t1\tyes\tyes",
                        "cudnn\t3-D\tbackward\tWINOGRAD\tTF32\t1\tSUCCESS\t1\tno\tyes",
                        "cudnn\t2-D\tforward\tGEMM\tINT8\t1\tSUCCESS\t1\tyes\tyes",
                        "cublas\tmatrix\tproduct\tdefault\tFMA\t1\tSUCCESS\t1\tyes\tyes")
                .map(l -> l.split("\t"))
                .toList();
        assertThat(SupportTable.lines(rows, "card: X").stream().filter(l -> !l.startsWith("#")))
                .containsExactly(
                        "forward\t2\t2\tfloat\tfma\t*\t1\t*\t1\tany\tGEMM",
                        "backward\t4\t3\tfloat\ttensor\t3\t1\t1\t1\tfixed\tWINOGRAD");
    }
}
