package dev.rebias.benchmarks;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.model.OnnxModel;
import dev.rebias.samples.BoundSamples;
import dev.rebias.sweep.Profile;
import dev.rebias.sweep.Reference;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.DoubleSupplier;

/**
 * The price of a correction as multiples of U, the time of one plain ONNX Runtime pass of the float model and one of the quantised model: same samples, batch size and
 * threads, same process, medians of turns taken one after the other. See benchmarks/README.md.
 */
public final class Benchmark {
    private static final int TURNS = 5;
    private static final int WARM_UP = 2;
    private static final List<String> ALL =
            List.of("fashion", "cls", "det", "mobilenet", "chain10", "chain20", "chain40", "chain80");

    private Benchmark() {}

    /** Runs the workloads that are named, or all. */
    public static void main(String[] names) {
        System.out.printf(
                "%d threads, Java %s, ONNX Runtime %s%n",
                Runtime.getRuntime().availableProcessors(),
                System.getProperty("java.version"),
                dev.rebias.runtime.OnnxRuntime.version());
        for (String name : names.length == 0 ? ALL : List.of(names)) {
            run(Workload.of(name));
        }
    }

    private static void run(Workload work) {
        BiasCorrection correction =
                BiasCorrection.of(OnnxModel.of("float", work.floating()), OnnxModel.of("quantised", work.quantized()));
        BoundSamples bound = work.samples().bind(correction.inputs());
        CorrectionOptions options =
                CorrectionOptions.defaults().withDevice("cpu").withBatchSize(work.batchSize());
        Map<String, DoubleSupplier> runs = new LinkedHashMap<>();
        Map<String, CorrectionResult> results = new LinkedHashMap<>();
        try (OnnxRuntimePass floating = new OnnxRuntimePass(
                        work.floating().toByteArray(), correction.inputNames(), bound, work.batchSize());
                OnnxRuntimePass quantized = new OnnxRuntimePass(
                        work.quantized().toByteArray(), correction.inputNames(), bound, work.batchSize())) {
            runs.put("float pass", floating::seconds);
            runs.put("quantised pass", quantized::seconds);
            for (Reference reference : Reference.values()) {
                runs.put(reference.name().toLowerCase(Locale.ROOT), () -> {
                    CorrectionResult result = correction.correct(work.samples(), options.withReference(reference));
                    results.put(reference.name().toLowerCase(Locale.ROOT), result);
                    return result.sweepSeconds();
                });
            }
            runs.put("layer --no-mse", () -> {
                CorrectionResult result = correction.correct(work.samples(), options.withErrors(false));
                results.put("layer --no-mse", result);
                return result.sweepSeconds();
            });
            Map<String, double[]> seconds = measure(runs);
            report(work, seconds, results);
        }
    }

    private static Map<String, double[]> measure(Map<String, DoubleSupplier> runs) {
        Map<String, double[]> seconds = new LinkedHashMap<>();
        runs.keySet().forEach(k -> seconds.put(k, new double[TURNS]));
        for (int turn = -WARM_UP; turn < TURNS; turn++) {
            for (Map.Entry<String, DoubleSupplier> run : runs.entrySet()) {
                double s = run.getValue().getAsDouble();
                if (turn >= 0) {
                    seconds.get(run.getKey())[turn] = s;
                }
            }
        }
        return seconds;
    }

    private static void report(Workload work, Map<String, double[]> seconds, Map<String, CorrectionResult> results) {
        double u = median(seconds.get("float pass")) + median(seconds.get("quantised pass"));
        System.out.printf("%n%s, batch size %d%n", work.name(), work.batchSize());
        System.out.printf(
                "  U = %.3f s (float %.3f, quantised %.3f)%n",
                u, median(seconds.get("float pass")), median(seconds.get("quantised pass")));
        results.forEach((name, result) -> {
            double[] s = seconds.get(name);
            System.out.printf(
                    "  %-16s %.3f s (%.3f to %.3f) = %.2f U, %d layers, %.2f ms per layer, peak %.1f MB%n",
                    name,
                    median(s),
                    Arrays.stream(s).min().orElse(0),
                    Arrays.stream(s).max().orElse(0),
                    median(s) / u,
                    result.correctedLayers(),
                    1e3 * median(s) / result.correctedLayers(),
                    result.peakDeviceBytes() / 1e6);
            profile(result);
        });
    }

    /** Where the time of the last turn went: all threads together, so that what is left of their time was spent waiting. */
    private static void profile(CorrectionResult result) {
        double all = result.sweepSeconds() * Runtime.getRuntime().availableProcessors();
        double rest = all;
        for (Profile.Entry e : result.profile().entries()) {
            rest -= e.seconds();
            if (e.seconds() > all / 100) {
                String figures = e.multiplications() > 0
                        ? String.format("%.0f GFLOP/s", 2e-9 * e.multiplications() / e.seconds())
                        : e.bytes() > 0 ? String.format("%.1f GB/s", 1e-9 * e.bytes() / e.seconds()) : "";
                System.out.printf("    %5.1f %%  %-28s %s%n", 100 * e.seconds() / all, e.work(), figures);
            }
        }
        System.out.printf("    %5.1f %%  the rest, and waiting%n", 100 * rest / all);
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }
}
