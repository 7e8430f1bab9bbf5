package dev.rebias.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.batch.Job;
import dev.rebias.device.Emulator;
import dev.rebias.oracle.ToyFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Sixty jobs, five of them broken: what is there in the end is what single runs give, and nothing else. They run with
 * three workers on the CPU, with four emulated cards, and in four shards that run at once as processes of their own;
 * again and again one of these is killed at a random moment, or told to end, and started again.
 * {@code -Drebias.batch.kills=50} says how often, {@code -Drebias.batch.devices=cuda:0} where. With
 * {@code -Drebias.assets} the reference pairs are among the jobs.
 */
@Tag("slow")
final class BatchKillTest {
    private static final int SHARDS = 4;
    private static final int KILLS = Integer.getInteger("rebias.batch.kills", 50);
    private static final String DEVICES = System.getProperty("rebias.batch.devices", "cpu:1");

    @TempDir
    Path folder;

    private Path out;
    private final Map<String, List<String>> possible = new LinkedHashMap<>();
    private final List<String> broken = new ArrayList<>();
    private final Process[] shards = new Process[SHARDS];

    /** Says what jobs there are, and writes the manifest. */
    private Path manifest() throws IOException {
        ToyFiles.write(Files.createDirectories(folder.resolve("toy")));
        Files.writeString(folder.resolve("toy/broken.onnx"), "no model");
        Path examples = Path.of("examples").toAbsolutePath();
        List<List<String>> pairs = new ArrayList<>(List.of(
                pair(examples.resolve("fashion"), "w3a8.onnx", "0.286", "0.353"),
                pair(examples.resolve("ocr-orientation"), "w4a8.onnx", "0.5", "0.5")));
        String assets = System.getProperty("rebias.assets", "");
        if (!assets.isEmpty()) {
            Path fashion = Path.of(assets, "fashion");
            for (String quantized : List.of("w4a4.onnx", "w8a8-tensor-int32bias.onnx", "w3a8-nobias.onnx")) {
                pairs.add(pair(fashion, quantized, "0.286", "0.353"));
            }
            pairs.add(pair(Path.of(assets, "ocr-orientation"), "w8a8-tensor.onnx", "0.5", "0.5"));
        }
        List<String> toyPair = List.of(
                "--float=" + folder.resolve("toy/float.onnx"),
                "--quantized=" + folder.resolve("toy/quantized.onnx"),
                "--samples=" + folder.resolve("toy/samples.npy"));
        pairs.add(toyPair);
        int number = 0;
        for (int size = 1; size <= 3; size++) {
            for (String reference : List.of("layer", "network")) {
                for (String more : List.of("--shrink", "--no-mse", "--per-channel", "--verify", "--no-undo")) {
                    for (List<String> pair : pairs) {
                        List<String> options = new ArrayList<>(pair);
                        options.addAll(List.of("--reference=" + reference, more));
                        options.add(pair == toyPair ? "--batch-size=" + size : "--limit=" + (4 + 8 * size));
                        if (possible.size() < 55) {
                            possible.put("m" + number % 3 + "/" + number++ + ".onnx", options);
                        }
                    }
                }
            }
        }
        // What is right is that these outputs are equal, not that they are better.
        possible.values().forEach(options -> options.add("--force"));
        assertThat(possible).hasSize(55);
        StringBuilder lines = new StringBuilder();
        possible.forEach((output, options) -> lines.append(line(output, options)));
        for (int i = 0; i < 5; i++) {
            List<String> options = new ArrayList<>(toyPair);
            options.set(1, "--quantized=" + folder.resolve(i % 2 == 0 ? "toy/broken.onnx" : "toy/none.onnx"));
            broken.add("broken" + i + ".onnx");
            lines.append(line("broken" + i + ".onnx", options));
        }
        return Files.writeString(folder.resolve("m.jsonl"), lines);
    }

    private static List<String> pair(Path folder, String quantized, String mean, String std) {
        return List.of(
                "--float=" + folder.resolve("float.onnx"),
                "--quantized=" + folder.resolve(quantized),
                "--samples=" + folder.resolve("calibration.npz"),
                "--scale=255",
                "--mean=" + mean,
                "--std=" + std);
    }

    private static String line(String output, List<String> options) {
        StringBuilder job = new StringBuilder("{\"output\": \"" + output + "\"");
        for (String option : options) {
            String[] parts = option.substring(2).split("=", 2);
            job.append(", \"")
                    .append(parts[0])
                    .append("\": \"")
                    .append(parts.length > 1 ? parts[1] : "true")
                    .append('"');
        }
        return job + "}\n";
    }

    private Process start(Path manifest, int shard) throws IOException {
        return start(manifest, "log" + shard, "--devices=" + DEVICES, "--shard=" + shard + "/" + SHARDS);
    }

    private Process start(Path manifest, String log, String... more) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Dorg.bytedeco.javacpp.maxPhysicalBytes=0",
                "-Djava.io.tmpdir=" + Files.createDirectories(folder.resolve("tmp")),
                "-Drebias.cache=" + System.getProperty("rebias.cache"),
                "-cp",
                System.getProperty("java.class.path"),
                "dev.rebias.cli.Main"));
        command.addAll(List.of("batch", manifest.toString(), "--out=" + out, "--keep-going"));
        command.addAll(List.of(more));
        ProcessBuilder builder = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(
                        ProcessBuilder.Redirect.appendTo(folder.resolve(log).toFile()));
        builder.environment().put("EMULATOR_DEVICES", "4");
        return builder.start();
    }

    private void assertOneRun(String devices, String workers, String single) throws Exception {
        Path manifest = manifest();
        out = folder.resolve("out");
        Process run = start(manifest, "log", "--devices=" + devices);
        try {
            assertThat(run.waitFor(10, TimeUnit.MINUTES)).isTrue();
        } finally {
            run.descendants().forEach(ProcessHandle::destroyForcibly);
            run.destroyForcibly();
        }
        assertThat(folder.resolve("log")).content().contains("60 jobs, " + workers, "55 done, 0 there already");
        assertThat(run.exitValue()).isEqualTo(2);
        assertResult(single);
        List<String> lines = Files.readAllLines(folder.resolve("log"));
        System.out.println(lines.get(lines.size() - 1));
    }

    @Test
    void threeWorkersGiveWhatSingleRunsGive() throws Exception {
        assertOneRun("cpu:3", "3 workers: cpu, cpu, cpu", "cpu");
    }

    @Test
    @Tag("cuda")
    @Tag("emulator")
    void fourCardsGiveWhatSingleRunsGive() throws Exception {
        Emulator.require();
        assertOneRun("cuda:all", "4 workers: cuda:0, cuda:1, cuda:2, cuda:3", "cuda:0");
    }

    @Test
    void killsAtRandomMomentsLoseNothing() throws Exception {
        Path manifest = manifest();
        out = folder.resolve("out");
        Random random = new Random(25);
        for (int i = 0; i < SHARDS; i++) {
            shards[i] = start(manifest, i);
        }
        int kills = 0;
        int ofWorkers = 0;
        int terminations = 0;
        long began = System.nanoTime();
        while (kills + terminations < KILLS && isAnyLeft()) {
            TimeUnit.MILLISECONDS.sleep(random.nextInt(8000));
            int i = random.nextInt(SHARDS);
            List<ProcessHandle> workers = shards[i].children().toList();
            if (!shards[i].isAlive()) {
                shards[i] = start(manifest, i);
            } else if (random.nextInt(3) == 0 && !workers.isEmpty()) {
                workers.get(0).destroyForcibly();
                kills++;
                ofWorkers++;
            } else if (random.nextInt(3) == 0) {
                shards[i].destroy();
                assertThat(shards[i].waitFor(60, TimeUnit.SECONDS)).isTrue();
                assertThat(shards[i].exitValue()).isEqualTo(143);
                assertThat(workers).noneMatch(ProcessHandle::isAlive);
                terminations++;
                shards[i] = start(manifest, i);
            } else {
                shards[i].destroyForcibly().waitFor();
                kills++;
                shards[i] = start(manifest, i);
            }
        }
        int done = count();
        for (int i = 0; i < SHARDS; i++) {
            assertThat(shards[i].waitFor(10, TimeUnit.MINUTES)).isTrue();
            // A worker that was killed twice at the same job has failed it; any run after that does it.
            shards[i] = start(manifest, i);
            assertThat(shards[i].waitFor(10, TimeUnit.MINUTES)).isTrue();
        }
        System.out.printf(
                "%d kills (%d of workers), %d terminations in %.0f s; %d of 55 outputs were there after the last%n",
                kills, ofWorkers, terminations, (System.nanoTime() - began) / 1e9, done);
        assertResult(DEVICES.startsWith("cpu") ? "cpu" : DEVICES);
    }

    private boolean isAnyLeft() {
        return count() < possible.size();
    }

    private int count() {
        return (int) possible.keySet().stream()
                .filter(o -> Files.exists(out.resolve(o)))
                .count();
    }

    private void assertResult(String device) throws IOException {
        List<String> expected = new ArrayList<>(List.of("jobs.json", "summary.csv", "summary.html"));
        for (Map.Entry<String, List<String>> job : possible.entrySet()) {
            Path single = folder.resolve("single.onnx");
            Files.deleteIfExists(single);
            List<String> arguments = new ArrayList<>(
                    List.of("correct", "--output=" + single, "--quiet", "--skip-existing", "--device=" + device));
            arguments.addAll(job.getValue());
            CommandLineRun.Captured run = CommandLineRun.captured(arguments.toArray(String[]::new));
            assertThat(run.exitCode()).as(run::said).isZero();
            assertThat(out.resolve(job.getKey())).as(job.getKey()).hasSameBinaryContentAs(single);
            expected.addAll(List.of(job.getKey(), job.getKey() + Job.REPORT));
        }
        broken.forEach(b -> expected.add(b + Job.REPORT));
        CommandLineRun.Captured summary = CommandLineRun.captured("batch", "summary", out.toString());
        assertThat(summary.exitCode()).as(summary::said).isEqualTo(2);
        assertThat(summary.out()).contains("60 jobs: 5 failed, ");
        try (Stream<Path> files = Files.walk(out)) {
            assertThat(files.filter(Files::isRegularFile)
                            .map(f -> out.relativize(f).toString()))
                    .containsExactlyInAnyOrderElementsOf(expected);
        }
        try (Stream<Path> left = Files.list(folder.resolve("tmp"))) {
            assertThat(left.filter(f -> f.getFileName().toString().startsWith("rebias-")))
                    .isEmpty();
        }
    }
}
