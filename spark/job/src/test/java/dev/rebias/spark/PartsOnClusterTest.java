package dev.rebias.spark;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Three tasks, each with a part of the samples, give what one machine gives that has all of them. */
final class PartsOnClusterTest {
    private static final Path EXAMPLES = Path.of(System.getProperty("rebias.spark.examples"))
            .toAbsolutePath()
            .normalize();

    @TempDir
    Path folder;

    /** Samples of which the last one holds what is no number. */
    private Path damagedSamples() throws IOException {
        String header = "{'descr': '<f4', 'fortran_order': False, 'shape': (30, 1, 28, 28), }";
        byte[] padded = (header + " ".repeat(117 - header.length()) + "\n").getBytes(StandardCharsets.US_ASCII);
        ByteBuffer file =
                ByteBuffer.allocate(10 + padded.length + 4 * 30 * 28 * 28).order(ByteOrder.LITTLE_ENDIAN);
        file.put((byte) 0x93)
                .put("NUMPY".getBytes(StandardCharsets.US_ASCII))
                .put((byte) 1)
                .put((byte) 0);
        file.putShort((short) padded.length).put(padded);
        for (int i = 0; i < 30 * 28 * 28; i++) {
            file.putFloat(i * 37 % 251);
        }
        file.putFloat(file.capacity() - 4, Float.NaN);
        return Files.write(folder.resolve("damaged.npy"), file.array());
    }

    @Test
    void whatCannotBeDoneInPartsIsRefusedBeforeAnyTaskBegins() throws Exception {
        Path fashion = EXAMPLES.resolve("fashion");
        Path list = Files.writeString(
                folder.resolve("m.yaml"),
                "jobs:\n  - {output: weights.onnx, adjust: weights, scale: 255, float: "
                        + fashion.resolve("float.onnx") + ", quantized: " + fashion.resolve("w3a8.onnx")
                        + ", samples: " + fashion.resolve("calibration.npz") + "}\n");
        Path out = folder.resolve("out");
        try (SubmittedRun run = SubmittedRun.start(folder, "--parts=3", list.toString(), out.toString())) {
            assertThat(run.await(line -> {})).as(run::said).isEqualTo(2);
            assertThat(run.said()).contains("('weights.onnx'): weights are chosen from products");
        }
        assertThat(out).doesNotExist();
    }

    @Test
    void aKilledExecutorChangesNoBit() throws Exception {
        Path fashion = EXAMPLES.resolve("fashion");
        Path list = Files.writeString(
                folder.resolve("m.yaml"),
                "defaults: {float: " + fashion.resolve("float.onnx") + ", quantized: " + fashion.resolve("w3a8.onnx")
                        + ", samples: " + fashion.resolve("calibration.npz")
                        + ", scale: 255, mean: 0.286, std: 0.353, limit: 100, include: '/f/f.2/'}\n"
                        + "jobs:\n"
                        + "  - {output: layer.onnx, reference: layer, verify: true}\n"
                        + "  - {output: network.onnx, reference: network}\n"
                        + "  - {output: there.onnx, limit: 20}\n"
                        + "  - {output: damaged.onnx, scale: 251, samples: " + damagedSamples() + "}\n");
        Path single = folder.resolve("single");
        assertThat(SubmittedRun.rebias("batch", list.toString(), "--out=" + single, "--devices=cpu:1"))
                .isEqualTo(4);

        Path out = Files.createDirectories(folder.resolve("out"));
        for (String file : List.of("there.onnx", "there.onnx.report.json")) {
            Files.copy(single.resolve(file), out.resolve(file));
        }
        Object before = Files.getLastModifiedTime(out.resolve("there.onnx"));
        try (SubmittedRun run = SubmittedRun.start(folder, "--parts=3", list.toString(), out.toString())) {
            List<String> killed = new ArrayList<>();
            int exitCode = run.await(line -> {
                if (killed.isEmpty() && line.contains("Barrier sync epoch 4 from") && line.contains("successfully")) {
                    killed.add(run.killOneAtWork());
                }
            });
            assertThat(killed).as(run::said).hasSize(1);
            assertThat(exitCode).as(run::said).isEqualTo(4);
            assertThat(run.said())
                    .contains("Lost executor " + killed.get(0), "Starting task 2.0 in stage 0.1")
                    .contains("there.onnx: there already")
                    .contains("damaged.onnx: failed: part 3 of 3 failed: ", "holds NaN in sample 29")
                    .contains("4 jobs: 1 failed, ")
                    .doesNotContain("stage 2.1 ", "stage 4.1 ", "stage 6.1 ");
        }
        for (String output : List.of("layer.onnx", "network.onnx")) {
            assertThat(out.resolve(output)).as(output).hasSameBinaryContentAs(single.resolve(output));
        }
        assertThat(Files.getLastModifiedTime(out.resolve("there.onnx"))).isEqualTo(before);
        assertThat(out.resolve("damaged.onnx")).doesNotExist();

        try (var left = Files.list(out)) {
            assertThat(left.map(f -> f.getFileName().toString()).filter(f -> f.startsWith(".")))
                    .isEmpty();
        }
    }
}
