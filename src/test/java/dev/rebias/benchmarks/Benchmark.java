package dev.rebias.benchmarks;

import dev.rebias.Adjustment;
import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.DeviceSession;
import dev.rebias.device.Device;
import dev.rebias.device.Devices;
import dev.rebias.keras.KerasModel;
import dev.rebias.model.Graph;
import dev.rebias.model.GraphReader;
import dev.rebias.model.OnnxModel;
import dev.rebias.samples.BoundSamples;
import dev.rebias.samples.Npz;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.PlainPass;
import dev.rebias.sweep.Profile;
import dev.rebias.sweep.Reference;
import dev.rebias.tensor.HostTensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.CompilationMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleSupplier;

/**
 * The price of a correction as multiples of U, the time of one plain ONNX Runtime pass of the float model and one of
 * the quantised model: same samples, batch size and threads, same process, medians of turns taken one after the other.
 * See benchmarks/README.md.
 */
public final class Benchmark {
    private static final int PAUSE_MILLIS = 100;
    private static final int TURNS = 5;
    /**
     * At least so many turns come before those that count, and no more once the JIT compiler has next to nothing to do
     * any more, or for so long.
     */
    private static final int WARM_UP_TURNS = 12;

    private static final double IDLE_COMPILER = 0.03;
    private static final long WARM_UP_NANOS = 60_000_000_000L;
    private static final List<String> ALL = List.of(
            "fashion",
            "cls",
            "det",
            "mobilenet",
            "chain10",
            "chain20",
            "chain40",
            "chain80",
            "keras",
            "weights",
            "stream",
            "cold",
            "loops");

    private static final long STREAM_LIMIT = 1_000_000_000;

    private Benchmark() {}

    /** Runs the workloads that are named, or all. */
    public static void main(String[] names) throws IOException {
        Machine machine = Machine.measure();
        System.out.printf(
                "%d threads, Java %s, ONNX Runtime %s; a copy of memory: %.0f GB/s, a product of matrices: %.0f "
                        + "GFLOP/s%n",
                Runtime.getRuntime().availableProcessors(),
                System.getProperty("java.version"),
                dev.rebias.runtime.OnnxRuntime.version(),
                machine.copyGigabytes(),
                machine.productGigaflops());
        for (String name : names.length == 0 ? ALL : List.of(names)) {
            switch (name) {
                case "loops" -> Loops.run();
                case "stream" -> stream();
                case "cold" -> {
                    Cold.run(Workload.of("mobilenet"), 16);
                    Cold.run(Workload.of("fashion"), 512);
                }
                case "weights" -> {
                    weights(Workload.of("mobilenet"), machine);
                    weights(Workload.resNet50(4), machine);
                    weights(Workload.resNet50(12), machine);
                }
                case "keras" -> {
                    keras(1, machine);
                    keras(8, machine);
                }
                default -> run(Workload.of(name), machine);
            }
        }
    }

    private static BiasCorrection correction(Workload work) {
        return BiasCorrection.of(OnnxModel.of("float", work.floating()), OnnxModel.of("quantised", work.quantized()));
    }

    private static CorrectionOptions.Builder options(Workload work) {
        return CorrectionOptions.builder().outcome(false).device("cpu").batchSize(work.batchSize());
    }

    private static void run(Workload work, Machine machine) {
        BiasCorrection correction = correction(work);
        BoundSamples bound = work.samples().bind(correction.inputs());
        CorrectionOptions options = options(work).build();
        Map<String, DoubleSupplier> runs = new LinkedHashMap<>();
        Map<String, CorrectionResult> results = new LinkedHashMap<>();
        Map<String, CorrectionOptions> kinds = new LinkedHashMap<>();
        kinds.put("layer", options);
        kinds.put("network", options.toBuilder().reference(Reference.NETWORK).build());
        kinds.put("layer --no-mse", options.toBuilder().errors(false).build());
        kinds.put(
                "network --no-mse",
                options.toBuilder().reference(Reference.NETWORK).errors(false).build());
        long quarter =
                correction.footprint(work.samples(), options, bound.count()).peak(bound.count()) / 4;
        kinds.put(
                "layer, 1/4 of the memory",
                options.toBuilder().memoryLimit(quarter).build());
        try (OnnxRuntimePass floating = new OnnxRuntimePass(
                        work.floating().toByteArray(), correction.inputNames(), bound, work.batchSize());
                OnnxRuntimePass quantized = new OnnxRuntimePass(
                        work.quantized().toByteArray(), correction.inputNames(), bound, work.batchSize());
                Device device = Devices.open("cpu").device()) {
            runs.put("float pass", floating::seconds);
            runs.put("quantised pass", quantized::seconds);
            kinds.forEach((kind, how) -> runs.put(kind, () -> {
                CorrectionResult result = correction.correct(work.samples(), how, DeviceSession.of(device));
                results.put(kind, result);
                return result.sweepSeconds();
            }));
            Map<String, double[]> seconds = measure(runs);
            report(work, machine, seconds, results);
        }
    }

    /**
     * A quantised Keras model: corrections against plain passes of our own device, and of ONNX Runtime.
     *
     * @param times how often the bundled images are taken
     */
    private static void keras(int times, Machine machine) {
        KerasModel model = KerasModel.read(Path.of("examples/keras/w3a4.h5"));
        OnnxModel floatModel =
                KerasModel.read(Path.of("examples/keras/float.h5")).floating();
        BiasCorrection correction = BiasCorrection.of(model.floating(), model.quantized());
        Graph floating = GraphReader.read(floatModel);
        Graph quantized = GraphReader.read(model.quantized());
        CorrectionOptions options =
                CorrectionOptions.builder().outcome(false).device("cpu").build();
        HostTensor bundled = Npz.read(Path.of("examples/keras/calibration.npz"), "samples");
        int pixels = Math.toIntExact(bundled.elements());
        float[] values = new float[times * pixels];
        for (int i = 0; i < values.length; i++) {
            values[i] = Byte.toUnsignedInt(bundled.bytes().get(i % pixels));
        }
        HostTensor images = HostTensor.of(values, times * bundled.shape()[0], 28, 28, 1);
        try (Samples samples = Samples.of(Map.of(correction.inputNames().get(0), images));
                Device device = Devices.open("cpu").device()) {
            BoundSamples bound = samples.bind(correction.inputs());
            int batchSize = device.batches().best(device.batches().usual(), 28 * 28 * Float.BYTES);
            Map<String, DoubleSupplier> runs = new LinkedHashMap<>();
            runs.put("own float pass", () -> PlainPass.seconds(device, floating, bound, batchSize));
            runs.put("own quantised pass", () -> PlainPass.seconds(device, quantized, bound, batchSize));
            List<CorrectionResult> last = new ArrayList<>();
            runs.put("layer", () -> {
                last.add(correction.correct(samples, options, DeviceSession.of(device)));
                return last.get(last.size() - 1).sweepSeconds();
            });
            runs.put("layer --no-mse", () -> correction
                    .correct(samples, options.toBuilder().errors(false).build(), DeviceSession.of(device))
                    .sweepSeconds());
            try (OnnxRuntimePass f =
                            new OnnxRuntimePass(floatModel.proto().toByteArray(), correction.inputNames(), bound, 32);
                    OnnxRuntimePass q = new OnnxRuntimePass(
                            model.toOnnx(Map.of()).proto().toByteArray(), correction.inputNames(), bound, 32)) {
                runs.put("ONNX Runtime, float pass", f::seconds);
                runs.put("ONNX Runtime, quantised pass", q::seconds);
                Map<String, double[]> seconds = measure(runs);
                double own = median(seconds.get("own float pass")) + median(seconds.get("own quantised pass"));
                double u = median(seconds.get("ONNX Runtime, float pass"))
                        + median(seconds.get("ONNX Runtime, quantised pass"));
                System.out.printf("%nFashion-MNIST CNN of cnn2snn's kind, W3A4, %d images%n", bound.count());
                seconds.forEach((name, s) -> System.out.printf(
                        "  %-29s %.3f s (%.3f to %.3f) = %.2f of a float and a quantised pass of our own, %.2f U%n",
                        name,
                        median(s),
                        Arrays.stream(s).min().orElse(0),
                        Arrays.stream(s).max().orElse(0),
                        median(s) / own,
                        median(s) / u));
                System.out.println("  where the time of the last correction went:");
                profile(last.get(last.size() - 1), machine);
            }
        }
    }

    /**
     * What it takes to choose weights too: of large networks one turn after one that warms up, for choosing takes the
     * same time for any number of samples.
     */
    private static void weights(Workload work, Machine machine) {
        BiasCorrection correction = correction(work);
        BoundSamples bound = work.samples().bind(correction.inputs());
        CorrectionOptions options = options(work).adjust(Adjustment.WEIGHTS).build();
        try (OnnxRuntimePass floating = new OnnxRuntimePass(
                        work.floating().toByteArray(), correction.inputNames(), bound, work.batchSize());
                OnnxRuntimePass quantized = new OnnxRuntimePass(
                        work.quantized().toByteArray(), correction.inputNames(), bound, work.batchSize());
                Device device = Devices.open("cpu").device()) {
            double u = passes(floating, quantized);
            System.out.printf(
                    "%n%s, batch size %d, --adjust weights%n  U = %.3f s%n", work.name(), work.batchSize(), u);
            for (Reference reference : Reference.values()) {
                CorrectionOptions how = options.toBuilder().reference(reference).build();
                correction.correct(work.samples(), how, DeviceSession.of(device));
                pause();
                CorrectionResult result = correction.correct(work.samples(), how, DeviceSession.of(device));
                double choosing = result.profile().entries().stream()
                        .filter(e -> e.work().equals("choosing weights"))
                        .mapToDouble(Profile.Entry::seconds)
                        .sum();
                System.out.printf(
                        "  %-8s %.2f s = %.2f U, %.0f ms per image, choosing weights %.2f s (%.0f %%), peak of "
                                + "tensors %.0f MB, %s%n",
                        reference,
                        result.sweepSeconds(),
                        result.sweepSeconds() / u,
                        1e3 * result.sweepSeconds() / bound.count(),
                        choosing,
                        100 * choosing / result.sweepSeconds(),
                        result.peakDeviceBytes() / 1e6,
                        resident());
                profile(result, machine);
            }
        }
    }

    /** U, after a pass of each that warms up. */
    static double passes(OnnxRuntimePass floating, OnnxRuntimePass quantized) {
        double[] seconds = new double[TURNS];
        floating.seconds();
        quantized.seconds();
        for (int i = 0; i < seconds.length; i++) {
            seconds[i] = floating.seconds() + quantized.seconds();
        }
        return median(seconds);
    }

    /** The most memory that this process has had. */
    private static String resident() {
        try {
            return Files.readAllLines(Path.of("/proc/self/status")).stream()
                    .filter(l -> l.startsWith("VmHWM"))
                    .findFirst()
                    .orElse("")
                    .replaceAll("\\s+", " ");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Many samples in little memory. */
    private static void stream() throws IOException {
        Workload work = Workload.of("fashion");
        BiasCorrection correction =
                BiasCorrection.of(OnnxModel.of("float", work.floating()), OnnxModel.of("quantised", work.quantized()));
        CorrectionOptions options = CorrectionOptions.builder()
                .outcome(false)
                .device("cpu")
                .memoryLimit(STREAM_LIMIT)
                .build();
        Path file = Files.createTempFile("rebias-benchmark", ".npy");
        System.out.printf("%nFashion-MNIST MobileNet W3A8 with a memory limit of %d MB%n", STREAM_LIMIT / 1_000_000);
        try {
            for (int samples : new int[] {1_000, 10_000, 100_000}) {
                try (Samples all = Workload.repeatedFashion(file, samples)) {
                    CorrectionResult r = correction.correct(all, options);
                    System.out.printf(
                            "  %6d samples: %.1f s, %.3f ms per sample; at most %.0f MB of tensors in memory, %.0f "
                                    + "MB in a file; %s%n",
                            samples,
                            r.sweepSeconds(),
                            1e3 * r.sweepSeconds() / samples,
                            r.peakDeviceBytes() / 1e6,
                            r.spilledBytes() / 1e6,
                            resident());
                }
            }
        } finally {
            Files.delete(file);
        }
    }

    private static Map<String, double[]> measure(Map<String, DoubleSupplier> runs) {
        Map<String, double[]> seconds = new LinkedHashMap<>();
        runs.keySet().forEach(k -> seconds.put(k, new double[TURNS]));
        warmUp(runs);
        for (int turn = 0; turn < TURNS; turn++) {
            for (Map.Entry<String, DoubleSupplier> run : runs.entrySet()) {
                pause();
                seconds.get(run.getKey())[turn] = run.getValue().getAsDouble();
            }
        }
        return seconds;
    }

    private static void warmUp(Map<String, DoubleSupplier> runs) {
        CompilationMXBean compiler = ManagementFactory.getCompilationMXBean();
        long start = System.nanoTime();
        double busy = 1;
        for (int turn = 0;
                System.nanoTime() - start < WARM_UP_NANOS && (turn < WARM_UP_TURNS || busy > IDLE_COMPILER);
                turn++) {
            double worked = 0;
            long compiled = compiler.getTotalCompilationTime();
            for (DoubleSupplier run : runs.values()) {
                pause();
                worked += run.getAsDouble();
            }
            busy = (compiler.getTotalCompilationTime() - compiled) / 1e3 / worked;
        }
    }

    /**
     * Lets the threads of the run before go to sleep: ONNX Runtime's keep looking for work for a while, on the cores
     * that the next run is to be measured on.
     */
    private static void pause() {
        try {
            Thread.sleep(PAUSE_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static void report(
            Workload work, Machine machine, Map<String, double[]> seconds, Map<String, CorrectionResult> results) {
        double u = median(seconds.get("float pass")) + median(seconds.get("quantised pass"));
        System.out.printf("%n%s, batch size %d%n", work.name(), work.batchSize());
        System.out.printf(
                "  U = %.3f s (float %.3f, quantised %.3f)%n",
                u, median(seconds.get("float pass")), median(seconds.get("quantised pass")));
        results.forEach((name, result) -> {
            double[] s = seconds.get(name);
            System.out.printf(
                    "  %-24s %.3f s (%.3f to %.3f) = %.2f U, %d layers, %.2f ms per layer, peak %.1f MB, %.1f MB "
                            + "in a file%n",
                    name,
                    median(s),
                    Arrays.stream(s).min().orElse(0),
                    Arrays.stream(s).max().orElse(0),
                    median(s) / u,
                    result.correctedLayers(),
                    1e3 * median(s) / result.correctedLayers(),
                    result.peakDeviceBytes() / 1e6,
                    result.spilledBytes() / 1e6);
            profile(result, machine);
        });
        System.out.printf(
                "  a quarter of the memory: %.2f times the time, corrections %s%n",
                median(seconds.get("layer, 1/4 of the memory")) / median(seconds.get("layer")),
                corrections(results.get("layer")).equals(corrections(results.get("layer, 1/4 of the memory")))
                        ? "the same to the last bit"
                        : "DIFFERENT");
    }

    private static List<List<Float>> corrections(CorrectionResult result) {
        return result.layers().stream()
                .flatMap(l -> l.moments().stream())
                .map(m -> {
                    List<Float> delta = new ArrayList<>();
                    for (float d : m.delta()) {
                        delta.add(d);
                    }
                    return delta;
                })
                .toList();
    }

    /**
     * Where the time of the last turn went: all threads together, so that what is left of their time was spent waiting.
     */
    private static void profile(CorrectionResult result, Machine machine) {
        int threads = Runtime.getRuntime().availableProcessors();
        double all = result.sweepSeconds() * threads;
        double rest = all;
        for (Profile.Entry e : result.profile().entries()) {
            rest -= e.seconds();
            if (e.seconds() < all / 100) {
                continue;
            }
            // What one thread achieves, and its share of what all achieve together.
            double achieved =
                    e.multiplications() > 0 ? 2e-9 * e.multiplications() / e.seconds() : 1e-9 * e.bytes() / e.seconds();
            double possible = e.multiplications() > 0 ? machine.productGigaflops() : machine.copyGigabytes();
            System.out.printf(
                    "    %5.1f %%  %-22s %s%n",
                    100 * e.seconds() / all,
                    e.work(),
                    e.bytes() == 0
                            ? ""
                            : String.format(
                                    "%.1f %s on each thread, %.0f %% of the machine's",
                                    achieved,
                                    e.multiplications() > 0 ? "GFLOP/s" : "GB/s",
                                    100 * achieved * threads / possible));
        }
        System.out.printf("    %5.1f %%  the rest, and waiting%n", 100 * rest / all);
    }

    static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }
}
