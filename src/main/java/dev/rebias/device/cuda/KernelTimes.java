package dev.rebias.device.cuda;

import dev.rebias.device.Upcoming;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;

/** How long NVRTC takes for kernels, one after another and all at once; nothing is taken from a cache. */
public final class KernelTimes {
    private KernelTimes() {}

    /**
     * What some sources take.
     *
     * @param seconds of each source on its own, by its name
     * @param parallelSeconds of all of them, on {@code threads} threads
     */
    public record Sources(Map<String, Double> seconds, double parallelSeconds, int threads) {
        public Sources {
            seconds = new LinkedHashMap<>(seconds);
        }

        /** In words. */
        public String text() {
            return String.format(
                    Locale.ROOT,
                    "%d sources, %.2f s one after another, %.2f s on %d threads",
                    seconds.size(),
                    seconds.values().stream().mapToDouble(s -> s).sum(),
                    parallelSeconds,
                    threads);
        }
    }

    /**
     * The times.
     *
     * @param files of {@code cuda-kernels/}
     * @param network those that are written for a network's elementwise operations
     */
    public record Times(Sources files, Sources network) {}

    /**
     * Compiles everything twice.
     *
     * @param architecture {@code sm_XX}
     * @param scratch a folder for what comes out; emptied afterwards
     * @param operations a network's
     * @throws CudaException if a kernel does not compile
     * @throws IOException if the folder cannot be used
     */
    public static Times measure(String architecture, Path scratch, List<Upcoming> operations) throws IOException {
        Map<String, String> files = new LinkedHashMap<>();
        Compiler.FILES.forEach(file -> files.put(file, Compiler.source(file)));
        Map<String, String> network = new LinkedHashMap<>();
        ExpectedKernels.of(operations)
                .forEach((source, title) -> network.put(network.size() + 1 + " " + title, source));
        try {
            return new Times(
                    measure(architecture, scratch.resolve("files"), files),
                    measure(architecture, scratch.resolve("network"), network));
        } finally {
            delete(scratch);
        }
    }

    private static Sources measure(String architecture, Path scratch, Map<String, String> sources) {
        Map<String, Double> seconds = new LinkedHashMap<>();
        Compiler alone = new Compiler(architecture, new KernelCache(List.of(), scratch.resolve("serial")));
        sources.forEach((name, source) -> {
            long start = System.nanoTime();
            alone.cubin(name, source);
            seconds.put(name, (System.nanoTime() - start) / 1e9);
        });
        Compiler together = new Compiler(architecture, new KernelCache(List.of(), scratch.resolve("parallel")));
        int threads = Math.max(1, Math.min(sources.size(), Kernels.compilers()));
        ExecutorService pool = Executors.newFixedThreadPool(threads);
        long start = System.nanoTime();
        try {
            List<Future<?>> all = new ArrayList<>();
            sources.forEach((name, source) -> all.add(pool.submit(() -> together.cubin(name, source))));
            for (Future<?> one : all) {
                one.get();
            }
            return new Sources(seconds, (System.nanoTime() - start) / 1e9, threads);
        } catch (ExecutionException e) {
            throw new CudaException(
                    "kernels do not compile at once: " + e.getCause().getMessage());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new CudaException("compiling was interrupted");
        } finally {
            pool.shutdownNow();
        }
    }

    private static void delete(Path folder) throws IOException {
        if (Files.exists(folder)) {
            try (Stream<Path> files = Files.walk(folder)) {
                for (Path p : files.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(p);
                }
            }
        }
    }
}
