package dev.rebias.spark;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A batch on a cluster gives what one on this machine gives, whatever happens to its executors. */
final class BatchOnClusterTest {
    private static final Path EXAMPLES = Path.of(System.getProperty("rebias.spark.examples"))
            .toAbsolutePath()
            .normalize();

    private static final String DEFAULTS =
            "defaults: {float: " + EXAMPLES + "/fashion/float.onnx, quantized: " + EXAMPLES
                    + "/fashion/w3a8.onnx, samples: " + EXAMPLES + "/fashion/calibration.npz, scale: 255, mean: 0.286, "
                    + "std: 0.353, limit: 128}\njobs:\n";

    @TempDir
    Path folder;

    private Path out;
    private final List<String> outputs = new ArrayList<>();

    @BeforeEach
    void nameOut() {
        out = folder.resolve("out");
    }

    private Path manifest(String... more) throws IOException {
        StringBuilder text = new StringBuilder(DEFAULTS);
        for (String job : List.of(
                "layer/a.onnx, reference: layer",
                "network/a.onnx, reference: network",
                "layer/b.onnx, reference: layer, limit: 100, shrink: true",
                "network/b.onnx, reference: network, no-mse: true",
                "auto.onnx, reference: auto",
                "weights.onnx, adjust: weights, limit: 64",
                "c.onnx, per-channel: true",
                "keras.h5, float: " + EXAMPLES + "/keras/float.h5, quantized: " + EXAMPLES
                        + "/keras/w3a4.h5, samples: " + EXAMPLES
                        + "/keras/calibration.npz, scale: 1, mean: 0, std: 1, limit: 64")) {
            text.append("  - {output: ").append(job).append("}\n");
            outputs.add(job.substring(0, job.indexOf(',')));
        }
        for (String job : more) {
            text.append("  - {output: ").append(job).append("}\n");
        }
        return Files.writeString(folder.resolve("m.yaml"), text);
    }

    private List<String> files() throws IOException {
        try (Stream<Path> all = Files.walk(out)) {
            return all.filter(Files::isRegularFile)
                    .map(f -> out.relativize(f).toString())
                    .toList();
        }
    }

    @Test
    void aKilledExecutorCostsNothingAndAFailedJobOnlyItself() throws Exception {
        Path list = manifest("missed.onnx, require-sqnr-gain: 90", "mine.onnx", "stuck.onnx");
        Path single = folder.resolve("single");
        assertThat(SubmittedRun.rebias("batch", list.toString(), "--out=" + single, "--devices=cpu:1"))
                .isEqualTo(5);
        // One output is somebody else's; where another one's report should be there is a folder.
        Path mine = Files.writeString(Files.createDirectories(out).resolve("mine.onnx"), "mine");
        // One job has been done before.
        for (String file : List.of("c.onnx", "c.onnx.report.json")) {
            Files.copy(single.resolve(file), out.resolve(file));
        }
        FileTime before = Files.getLastModifiedTime(out.resolve("c.onnx"));
        Path inTheWay = Files.createDirectories(out.resolve("stuck.onnx.report.json/full"));

        try (SubmittedRun run = SubmittedRun.start(folder, list.toString(), out.toString())) {
            List<String> killed = new ArrayList<>();
            int exitCode = run.await(line -> {
                if (killed.isEmpty() && line.contains("Finished task")) {
                    killed.add(run.killOneAtWork());
                }
            });
            assertThat(killed).as(run::said).hasSize(1);
            assertThat(exitCode).as(run::said).isEqualTo(1);
            assertThat(run.said())
                    .contains("Lost executor " + killed.get(0))
                    .contains("mine.onnx: failed: 'OUT/mine.onnx' exists, but does not say"
                            .replace("OUT", out.toString()))
                    .contains("missed.onnx: refused: ", "c.onnx: there already")
                    .contains("[11/11] stuck.onnx: FAILED: Job aborted due to stage failure: Task 0 in stage")
                    .contains("failed 4 times", "stuck.onnx.report.json' cannot be replaced")
                    .contains("11 jobs: 1 failed, 1 not run, 1 refused, 8 better");
        }
        assertThat(mine).hasContent("mine");
        assertThat(Files.getLastModifiedTime(out.resolve("c.onnx"))).isEqualTo(before);
        assertThat(inTheWay).isDirectory();
        for (String output : outputs) {
            assertThat(out.resolve(output)).as(output).hasSameBinaryContentAs(single.resolve(output));
        }
        List<String> expected = new ArrayList<>(List.of("jobs.json", "summary.csv", "summary.html", "mine.onnx"));
        outputs.forEach(o -> expected.addAll(List.of(o, o + ".report.json")));
        expected.addAll(List.of("mine.onnx.report.json", "missed.onnx.report.json"));
        assertThat(files()).containsExactlyInAnyOrderElementsOf(expected);
    }

    @Test
    void anImpossibleJobIsRefusedBeforeAnyTask() throws Exception {
        Path list = manifest("other.onnx, float: " + EXAMPLES + "/ocr-orientation/float.onnx");
        try (SubmittedRun run = SubmittedRun.start(folder, list.toString(), out.toString())) {
            assertThat(run.await(line -> {})).as(run::said).isEqualTo(4);
            assertThat(run.said())
                    .contains("('other.onnx')", "1 of 9 jobs cannot be done, see above, so nothing was run")
                    .doesNotContain("Starting task");
        }
        assertThat(out).doesNotExist();

        Path wrong = manifest("wrong.onnx, refrence: layer");
        try (SubmittedRun run = SubmittedRun.start(folder, wrong.toString(), out.toString())) {
            assertThat(run.await(line -> {})).as(run::said).isEqualTo(2);
            assertThat(run.said())
                    .contains("the key 'refrence' is unknown")
                    .doesNotContain("Starting task", "SparkContext: Running Spark");
        }
    }
}
