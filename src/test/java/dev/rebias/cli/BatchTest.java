package dev.rebias.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rebias.batch.Job;
import dev.rebias.error.UsageException;
import dev.rebias.oracle.ToyFiles;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A batch gives what single corrections give, whatever happens to its workers. */
final class BatchTest {
    private static final ObjectMapper JSON = new ObjectMapper();

    @TempDir
    Path folder;

    private Path out;

    /** The options of each job that can be done, by its output's name. */
    private final Map<String, List<String>> possible = new LinkedHashMap<>();

    @BeforeEach
    void writeFiles() throws IOException {
        ToyFiles.write(Files.createDirectories(folder.resolve("toy")));
        ToyFiles.writeCompensating(Files.createDirectories(folder.resolve("worse")));
        out = folder.resolve("out");
        Files.writeString(folder.resolve("toy/broken.onnx"), "no model");
        for (String reference : List.of("layer", "network")) {
            for (String more : List.of("", "--no-mse", "--shrink", "--per-channel")) {
                List<String> options = new ArrayList<>(List.of("--reference=" + reference));
                if (!more.isEmpty()) {
                    options.add(more);
                }
                possible.put(reference + "/c" + more + ".onnx", options);
            }
        }
    }

    private Path manifest(String name, String... more) throws IOException {
        List<String> lines = new ArrayList<>(List.of(
                "defaults: {float: toy/float.onnx, quantized: toy/quantized.onnx, samples: toy/samples.npy}", "jobs:"));
        possible.forEach((output, options) -> {
            StringBuilder job = new StringBuilder("  - {output: " + output);
            for (String option : options) {
                String[] parts = option.substring(2).split("=", 2);
                job.append(", ").append(parts[0]).append(": ").append(parts.length > 1 ? parts[1] : "true");
            }
            lines.add(job + "}");
        });
        lines.addAll(List.of(more));
        return Files.writeString(folder.resolve(name), String.join("\n", lines) + "\n");
    }

    private CommandLineRun.Captured batch(int exitCode, Path manifest, String... more) {
        List<String> arguments = new ArrayList<>(List.of("batch", manifest.toString(), "--out=" + out));
        arguments.addAll(List.of(more));
        CommandLineRun.Captured run = CommandLineRun.captured(arguments.toArray(String[]::new));
        assertThat(run.exitCode()).as(run::said).isEqualTo(exitCode);
        return run;
    }

    /** What single runs of {@code correct} give. */
    private void assertAllAsSingleRuns() throws IOException {
        for (Map.Entry<String, List<String>> job : possible.entrySet()) {
            Path single = folder.resolve("single.onnx");
            Files.deleteIfExists(single);
            List<String> arguments =
                    new ArrayList<>(List.of("--output=" + single, "--device=cpu", "--quiet", "--skip-existing"));
            arguments.addAll(job.getValue());
            CommandLineRun.Captured run = CommandLineRun.captured(
                    ToyFiles.command("correct", folder.resolve("toy"), arguments.toArray(String[]::new)));
            assertThat(run.exitCode()).as(run::said).isZero();
            assertThat(out.resolve(job.getKey())).as(job.getKey()).hasSameBinaryContentAs(single);
        }
    }

    /** Names below the batch's folder; temporary files may come and go meanwhile. */
    private List<String> files() throws IOException {
        List<String> names = new ArrayList<>();
        for (Path at : List.of(out, out.resolve("layer"), out.resolve("network"))) {
            if (Files.isDirectory(at)) {
                try (Stream<Path> in = Files.list(at)) {
                    in.filter(f -> !Files.isDirectory(f))
                            .forEach(f -> names.add(out.relativize(f).toString()));
                }
            }
        }
        return names;
    }

    /** The summary's rows: state and exit code by output. */
    private Map<String, String> summary() throws IOException {
        Map<String, String> states = new TreeMap<>();
        List<String> lines = Files.readAllLines(out.resolve("summary.csv"));
        for (String line : lines.subList(1, lines.size())) {
            String[] fields = line.split(",", -1);
            states.put(fields[0], fields[1] + " " + fields[2]);
        }
        return states;
    }

    @Test
    void brokenJobsStopNoOtherAndLaterRunsGoOnWhereEarlierOnesStopped() throws IOException {
        Path list = manifest(
                "m.yaml",
                "  - {output: broken.onnx, quantized: toy/broken.onnx}",
                "  - {output: other.onnx, float: worse/float.onnx}",
                "  - {output: worse.onnx, float: worse/float.onnx, quantized: worse/quantized.onnx, "
                        + "samples: worse/samples.npy, include: a_node}",
                "  - {output: missing.onnx, samples: toy/none.npy}");
        CommandLineRun.Captured refused = batch(2, list, "--devices=cpu");
        assertThat(refused.err())
                .contains("job 9 of manifest '" + list + "', line 11 ('broken.onnx')")
                .contains("('other.onnx')", "('missing.onnx')", "do not exist", "--keep-going runs the others")
                .contains("3 of 12 jobs cannot be done, see above, so nothing was run");
        assertThat(out).doesNotExist();

        // A share of it: the summary knows what is missing.
        batch(4, list, "--devices=cpu", "--keep-going", "--shard=0/2");
        assertThat(out.resolve("summary.html")).doesNotExist();
        CommandLineRun.Captured part = CommandLineRun.captured("batch", "summary", out.toString());
        assertThat(part.exitCode()).isEqualTo(1);
        assertThat(part.out()).contains("not run: there is no report of it");
        long done = possible.keySet().stream()
                .filter(o -> Files.exists(out.resolve(o)))
                .count();
        assertThat(done).isBetween(1L, 7L);

        // A killed run has not written its report, another has left a temporary file, somebody has put a file there.
        Path report = out.resolve("layer/c.onnx" + Job.REPORT);
        Files.delete(report);
        Path left = Files.createFile(out.resolve("network/.rebias-1.part"));
        Path mine = Files.writeString(out.resolve("network/c.onnx"), "mine");

        // All of it: what is there stays as it is.
        Path metrics = folder.resolve("m.prom");
        Map<String, Object> before = times();
        CommandLineRun.Captured run = batch(2, list, "--devices=cpu", "--keep-going", "--metrics=" + metrics);
        long made = 8 - done + 1;
        assertThat(run.out())
                .contains(made + " done, " + (done - 2) + " there already, 1 refused, 4 failed")
                .contains("exists, but does not say");
        assertThat(times()).containsAllEntriesOf(before);
        assertThat(mine).hasContent("mine");
        assertThat(left).doesNotExist();
        JsonNode told = JSON.readTree(report.toFile());
        assertThat(told.path("verdict").path("published").asBoolean()).isTrue();
        assertThat(told.path("provenance").path("request").asText()).isNotEmpty();
        List<String> expected = new ArrayList<>(List.of("jobs.json", "summary.csv", "summary.html"));
        for (String output : possible.keySet()) {
            expected.addAll(List.of(output, output + Job.REPORT));
        }
        Stream.of("broken", "other", "worse", "missing").forEach(n -> expected.add(n + ".onnx" + Job.REPORT));
        assertThat(files()).containsExactlyInAnyOrderElementsOf(expected);
        assertThat(summary())
                .hasSize(12)
                .containsEntry("broken.onnx", "failed 4")
                .containsEntry("other.onnx", "failed 4")
                .containsEntry("missing.onnx", "failed 2")
                .containsEntry("network/c.onnx", "failed 2")
                .containsEntry("worse.onnx", "refused 5")
                .containsEntry("layer/c.onnx", "better 0");
        String page = Files.readString(out.resolve("summary.html"));
        assertThat(page).contains("5 of 12 models not corrected").doesNotContain("<script", "http");
        assertThat(page.indexOf("broken.onnx")).isBetween(0, page.indexOf("worse.onnx"));
        assertThat(page.indexOf("worse.onnx")).isBetween(0, page.indexOf("layer/c.onnx"));
        assertThat(Files.readAllLines(metrics))
                .contains(
                        "rebias_batch_jobs{shard=\"0/1\",state=\"done\"} " + made,
                        "rebias_batch_jobs{shard=\"0/1\",state=\"skipped\"} " + (done - 2),
                        "rebias_batch_jobs{shard=\"0/1\",state=\"failed\"} 4",
                        "rebias_batch_jobs{shard=\"0/1\",state=\"refused\"} 1",
                        "rebias_batch_jobs{shard=\"0/1\",state=\"waiting\"} 0");
        possible.remove("network/c.onnx");
        assertAllAsSingleRuns();
    }

    /** When the outputs and reports were written that are written once. */
    private Map<String, Object> times() throws IOException {
        Map<String, Object> times = new TreeMap<>();
        for (String file : files()) {
            boolean other = file.startsWith("layer/c.onnx") || file.startsWith("network/c.onnx");
            if (!other && (possible.keySet().stream().anyMatch(file::startsWith) || file.startsWith("worse"))) {
                times.put(file, Files.getLastModifiedTime(out.resolve(file)));
            }
        }
        return times;
    }

    private Process start(Path manifest, String... more) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-Dorg.bytedeco.javacpp.maxPhysicalBytes=0",
                "-cp",
                System.getProperty("java.class.path"),
                "dev.rebias.cli.Main",
                "batch",
                manifest.toString(),
                "--out=" + out,
                "--devices=cpu:2"));
        command.addAll(List.of(more));
        return new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("log").toFile())
                .start();
    }

    private long reports() throws IOException {
        return Files.isDirectory(out)
                ? files().stream().filter(f -> f.endsWith(Job.REPORT)).count()
                : 0;
    }

    /** Waits until all jobs have been checked and their list is written: workers are given the first right after it. */
    private void awaitJobsChecked(Process batch) throws InterruptedException {
        while (batch.isAlive() && !Files.exists(out.resolve("jobs.json"))) {
            TimeUnit.MILLISECONDS.sleep(2);
        }
    }

    @Test
    void jobsThatCannotBeDoneInPartsAreRefusedBeforeAnyRuns() throws IOException {
        possible.clear();
        Path list = manifest(
                "m.yaml",
                "  - {output: whole.onnx}",
                "  - {output: weights.onnx, adjust: weights, holdout: 0}",
                "  - {output: few.onnx, limit: 2}",
                "  - {output: none-held-out.onnx, holdout: 0.25}");
        StringWriter said = new StringWriter();
        BatchJobs jobs = BatchJobs.read(list, out, new PrintWriter(said, true));
        jobs.check(1);
        assertThat(said.toString()).isEmpty();
        assertThatThrownBy(() -> jobs.check(3))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("3 of 4 jobs cannot be done");
        assertThat(said.toString())
                .contains(
                        "('weights.onnx'): weights are chosen from products",
                        "('few.onnx'): ",
                        "3 parts",
                        "('none-held-out.onnx'): of 3 samples in parts")
                .doesNotContain("whole.onnx");
        assertThat(out).doesNotExist();
    }

    @Test
    void aWorkerThatIsKilledCostsItsJobARetryAndAnEndWhenToldLeavesNothing() throws Exception {
        Path list = manifest("m.yaml");
        Process batch = start(list);
        awaitJobsChecked(batch);
        List<ProcessHandle> workers = batch.children().toList();
        assertThat(workers).hasSize(2);
        workers.get(0).destroyForcibly();
        while (batch.isAlive()
                && (reports() == 0 || !Files.readString(folder.resolve("log")).contains("is tried once more"))) {
            TimeUnit.MILLISECONDS.sleep(2);
        }
        List<ProcessHandle> others = batch.children().toList();
        batch.destroy();
        assertThat(batch.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(folder.resolve("log"))
                .content()
                .contains("is tried once more on a fresh process", "was killed (signal 9)");
        assertThat(batch.exitValue()).isEqualTo(143);
        assertThat(others).noneMatch(ProcessHandle::isAlive);
        assertThat(files()).noneMatch(f -> f.contains(".part"));
        long there = reports();
        CommandLineRun.Captured run = batch(0, list, "--devices=cpu");
        assertThat(run.out()).contains((8 - there) + " done, " + there + " there already, 0 refused, 0 failed");
        assertAllAsSingleRuns();
    }

    @Test
    void aWorkerThatHangsIsKilledWhenItsTimeIsUpAndItsJobTriedAgain() throws Exception {
        possible.keySet().retainAll(List.of("layer/c.onnx", "network/c.onnx", "network/c--shrink.onnx"));
        Process batch = start(manifest("m.yaml"), "--timeout=20s");
        awaitJobsChecked(batch);
        List<ProcessHandle> workers = batch.children().toList();
        for (ProcessHandle worker : workers) {
            new ProcessBuilder("kill", "-STOP", Long.toString(worker.pid()))
                    .start()
                    .waitFor();
        }
        try {
            assertThat(batch.waitFor(120, TimeUnit.SECONDS)).isTrue();
        } finally {
            workers.forEach(ProcessHandle::destroyForcibly);
            batch.descendants().forEach(ProcessHandle::destroyForcibly);
            batch.destroyForcibly();
        }
        assertThat(folder.resolve("log"))
                .content()
                .contains("3 jobs, 2 workers: cpu, cpu; at most 20 s a job")
                .contains("was killed: it took longer than 20 s for a job")
                .contains("is tried once more on a fresh process")
                .contains("3 done, 0 there already, 0 refused, 0 failed");
        assertThat(batch.exitValue()).isZero();
        assertThat(workers).noneMatch(ProcessHandle::isAlive);
        assertThat(files()).noneMatch(f -> f.contains(".part"));
        assertAllAsSingleRuns();
    }

    @Test
    void anOutputThatAJobReadsIsRefused() throws IOException {
        Path link = Files.createSymbolicLink(folder.resolve("link"), folder);
        Files.createSymbolicLink(folder.resolve("sub"), folder.resolve("toy"));
        for (String name : List.of(
                "toy/float.onnx", "toy/../toy/samples.npy", "out2/b.onnx", "link/toy/float.onnx", "sub/float.onnx")) {
            Path list = Files.writeString(folder.resolve("m.yaml"), """
                    defaults: {float: %s, quantized: toy/quantized.onnx, samples: toy/samples.npy}
                    jobs:
                      - {output: a.onnx}
                      - {output: %s}
                    """.formatted(
                            // A link to a folder of outputs: the input is not spelt as the output is.
                            name.endsWith("npy") || name.startsWith("sub") ? "toy/float.onnx" : name,
                            name.replace("toy/../", "").replace("link/", "")));
            CommandLineRun.Captured run = CommandLineRun.captured(
                    "batch", list.toString(), "--out=" + (name.startsWith("link") ? folder : link), "--keep-going");
            assertThat(run.exitCode()).as(run::said).isEqualTo(2);
            assertThat(run.err())
                    .contains(
                            name.endsWith("npy") ? "its 'samples'" : "its 'float'",
                            "is the output of job 2 of manifest",
                            "is the output of this very job",
                            "so nothing was run");
        }
        assertThat(folder.resolve("a.onnx")).doesNotExist();
    }

    @Test
    void aDryRunSaysWhatEachWouldTakeAndWritesNothing() throws IOException {
        possible.keySet().retainAll(List.of("layer/c.onnx", "network/c.onnx"));
        CommandLineRun.Captured run = batch(0, manifest("m.yaml"), "--devices=cpu", "--dry-run");
        assertThat(run.out())
                .containsPattern(" 4 +3 +\\d+\\.\\d MB +\\d+\\.\\d s  layer/c\\.onnx")
                .contains("predicted: ");
        assertThat(out).doesNotExist();
    }

    @Test
    void wrongCommandsAreRefused() throws IOException {
        Path list = manifest("m.yaml", "  - {output: x.onnx, reference: both}", "  - {output: y.onnx, scale: much}");
        CommandLineRun.Captured run = batch(2, list, "--devices=cpu");
        assertThat(run.err()).contains("('x.onnx')", "('y.onnx')", "2 of 10 jobs cannot be done");
        assertThat(run.err().lines()).hasSize(3);
        Path good = manifest("m.yaml");
        assertThat(batch(2, good, "--devices=cpu:0").err()).contains("--devices cpu:0 is not possible");
        assertThat(batch(2, good, "--devices=cpu", "--timeout=0").err()).contains("--timeout '0' is no time");
        assertThat(batch(2, good, "--devices=gpu").err()).contains("--devices gpu is not possible");
        assertThat(batch(2, good, "--devices=cpu", "--shard=2/2").err()).contains("shard 2 of 2 does not exist");
        assertThat(batch(2, good, "--devices=cpu", "--metrics=" + folder.resolve("none/m.prom"))
                        .err())
                .contains("does not exist");
        assertThat(CommandLineRun.captured("batch").exitCode()).isEqualTo(2);
        assertThat(CommandLineRun.captured("batch", good.toString()).err()).contains("--out DIR");
        assertThat(CommandLineRun.captured(
                                "batch", "summary", folder.resolve("none").toString())
                        .err())
                .contains("is no folder");
        assertThat(out).doesNotExist();
    }
}
