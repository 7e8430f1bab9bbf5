package dev.rebias.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rebias.batch.Job;
import dev.rebias.device.Emulator;
import dev.rebias.device.cuda.CudaCards;
import dev.rebias.oracle.ToyFiles;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A batch on several cards, each with a worker of its own, gives what one card gives. */
@Tag("cuda")
@Tag("emulator")
final class BatchCardsTest {
    @TempDir
    Path folder;

    private String batch(int exitCode, Path manifest, String... more) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-Dorg.bytedeco.javacpp.maxPhysicalBytes=0",
                "-Drebias.cache=" + System.getProperty("rebias.cache"),
                "-cp",
                System.getProperty("java.class.path"),
                "dev.rebias.cli.Main",
                "batch",
                manifest.toString(),
                "--out=" + folder.resolve("out")));
        command.addAll(List.of(more));
        ProcessBuilder start = new ProcessBuilder(command).redirectErrorStream(true);
        start.environment().put("EMULATOR_DEVICES", "3");
        Process process = start.start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(said).isEqualTo(exitCode);
        return said;
    }

    private Path manifest() throws IOException {
        ToyFiles.write(folder);
        StringBuilder jobs = new StringBuilder();
        for (int i = 1; i <= 4; i++) {
            jobs.append("{\"output\": \"%d.onnx\", \"float\": \"float.onnx\", \"quantized\": \"quantized.onnx\", "
                    .formatted(i));
            jobs.append("\"samples\": \"samples.npy\", \"reference\": \"%s\", \"batch-size\": %d}%n"
                    .formatted(i % 2 == 0 ? "layer" : "network", 1 + i / 3));
        }
        return Files.writeString(folder.resolve("m.jsonl"), jobs);
    }

    @Test
    void everyCardHasAWorkerAndGivesWhatOneGives() throws Exception {
        Emulator.require();
        Path list = manifest();
        assertThat(batch(0, list, "--devices=cuda:all", "--memory-limit=64m"))
                .contains("4 jobs, 3 workers: cuda:0, cuda:1, cuda:2", "4 done, 0 there already");
        assertAsSingleRuns(64L << 20);
        assertThat(batch(3, list, "--devices=cuda:3")).contains("there is no GPU 3: the driver knows 3");
    }

    private void assertAsSingleRuns(long pool) throws IOException {
        for (int i = 1; i <= 4; i++) {
            Path single = folder.resolve("single" + i + ".onnx");
            CommandLineRun.Captured run = CommandLineRun.captured(ToyFiles.command(
                    "correct",
                    folder,
                    "--output=" + single,
                    "--skip-existing",
                    "--device=cuda",
                    "--reference=" + (i % 2 == 0 ? "layer" : "network"),
                    "--batch-size=" + (1 + i / 3)));
            assertThat(run.exitCode()).as(run::said).isZero();
            Path output = folder.resolve("out/" + i + ".onnx");
            assertThat(output).hasSameBinaryContentAs(single);
            JsonNode report = new ObjectMapper()
                    .readTree(folder.resolve("out/" + i + ".onnx" + Job.REPORT).toFile());
            assertThat(report.path("device").path("emulated").asBoolean()).isTrue();
            // The limit is the pool's size.
            assertThat(report.path("memory").path("peakDeviceBytes").asLong()).isBetween(1L, pool);
            Files.delete(single);
        }
    }

    @Test
    void workersOfOneCardShareItsMemory() throws Exception {
        Emulator.require();
        Path list = manifest();
        assertThat(batch(0, list, "--devices=cuda:0,0"))
                .contains("4 jobs, 2 workers: cuda:0, cuda:0", "4 done, 0 there already");
        assertAsSingleRuns(Long.MAX_VALUE);
        // Their pools are allocated while they start: each has its part of the card, or what it was told.
        assertThat(pools("cuda:0,0", OptionalLong.empty())).hasSize(2).allMatch(p -> p > 0);
        long card = CudaCards.all().get(0).memoryBytes();
        assertThat(pools("cuda:0,0", OptionalLong.empty()).stream()
                        .mapToLong(p -> p)
                        .sum())
                .isBetween((long) (0.8 * card), (long) (0.85 * card));
        assertThat(pools("cuda:0,0,1", OptionalLong.of(64L << 20))).containsOnly(64L << 20);
        assertThat(pools("cuda:1,0,0", OptionalLong.empty())).hasSize(2);
    }

    /** The sizes of the workers' pools where they have one. */
    private static List<Long> pools(String devices, OptionalLong limit) {
        return BatchDevices.of(devices).workers(limit).stream()
                .flatMap(w -> w.command().stream())
                .filter(a -> a.startsWith("-Drebias.cuda.pool="))
                .map(a -> Long.parseLong(a.substring(a.indexOf('=') + 1)))
                .toList();
    }
}
