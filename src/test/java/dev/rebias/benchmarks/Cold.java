package dev.rebias.benchmarks;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rebias.BiasCorrection;
import dev.rebias.model.OnnxModel;
import dev.rebias.samples.Batches;
import dev.rebias.samples.BoundSamples;
import dev.rebias.samples.NpyWriter;
import dev.rebias.sweep.Reference;
import dev.rebias.tensor.HostTensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/** The price of the first correction in a new process, which is what a user of the command line sees. */
final class Cold {
    private static final int PROCESSES = 5;

    private Cold() {}

    /** Corrects in new processes of {@code ./rebias}; the passes that this is compared with run warm, here. */
    static void run(Workload work, int samples) throws IOException {
        Path folder = Files.createTempDirectory("rebias-benchmark");
        try {
            Path floating =
                    Files.write(folder.resolve("float.onnx"), work.floating().toByteArray());
            Path quantized = Files.write(
                    folder.resolve("quantised.onnx"), work.quantized().toByteArray());
            BiasCorrection correction = BiasCorrection.of(OnnxModel.read(floating), OnnxModel.read(quantized));
            BoundSamples bound = work.samples().bind(correction.inputs()).spread(samples);
            Path file = folder.resolve("samples.npy");
            write(bound, file);
            double u;
            try (OnnxRuntimePass f = new OnnxRuntimePass(
                            work.floating().toByteArray(), correction.inputNames(), bound, work.batchSize());
                    OnnxRuntimePass q = new OnnxRuntimePass(
                            work.quantized().toByteArray(), correction.inputNames(), bound, work.batchSize())) {
                u = Benchmark.passes(f, q);
            }
            System.out.printf(
                    "%n%s, of these %d, each in a new process%n  U = %.3f s%n", work.name(), bound.count(), u);
            Path report = folder.resolve("report.json");
            for (Reference reference : Reference.values()) {
                List<String> command = List.of(
                        "./rebias",
                        "correct",
                        "--device=cpu",
                        "--float=" + floating,
                        "--quantized=" + quantized,
                        "--samples=" + file,
                        "--reference=" + reference.name().toLowerCase(Locale.ROOT),
                        "--no-outcome",
                        "--quiet",
                        "--force",
                        "--report=" + report,
                        "--output=" + folder.resolve("corrected.onnx"));
                List<Double> sweeps = new ArrayList<>();
                List<Double> processes = new ArrayList<>();
                for (int i = 0; i <= PROCESSES; i++) {
                    long start = System.nanoTime();
                    int status = new ProcessBuilder(command).inheritIO().start().waitFor();
                    double seconds = (System.nanoTime() - start) / 1e9;
                    if (status != 0) {
                        throw new IllegalStateException(command + " ends with " + status);
                    }
                    // The launcher may have something to prepare for the first.
                    if (i > 0) {
                        sweeps.add(sweep(report));
                        processes.add(seconds);
                    }
                }
                System.out.printf(
                        "  %-8s the sweep %.3f s = %.2f U (%.2f to %.2f), the whole process %.2f s%n",
                        reference,
                        median(sweeps),
                        median(sweeps) / u,
                        sweeps.stream().min(Double::compare).orElseThrow() / u,
                        sweeps.stream().max(Double::compare).orElseThrow() / u,
                        median(processes));
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted", e);
        } finally {
            try (Stream<Path> files = Files.list(folder)) {
                for (Path file : files.toList()) {
                    Files.delete(file);
                }
            }
            Files.delete(folder);
        }
    }

    private static double median(List<Double> values) {
        return Benchmark.median(values.stream().mapToDouble(Double::doubleValue).toArray());
    }

    private static double sweep(Path report) throws IOException {
        JsonNode trials = new ObjectMapper().readTree(report.toFile()).get("trials");
        if (trials.size() != 1) {
            throw new IllegalStateException("the report names " + trials.size() + " sweeps");
        }
        return trials.get(0).get("sweepSeconds").asDouble();
    }

    private static void write(BoundSamples samples, Path file) throws IOException {
        try (Batches batches = samples.batches(samples.count())) {
            HostTensor all = batches.next().get(0);
            byte[] bytes = new byte[all.bytes().capacity()];
            all.bytes().get(0, bytes);
            int[] shape = Arrays.stream(all.shape()).mapToInt(Math::toIntExact).toArray();
            Files.write(file, NpyWriter.npy("<f4", bytes, shape));
        }
    }
}
