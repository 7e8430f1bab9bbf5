package dev.rebias.device.cuda;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;

/** How long NVRTC takes for the kernels of {@code cuda-kernels/}, one after another and all at once; nothing is taken from a cache. */
public final class KernelTimes {
    private KernelTimes() {}

    /**
     * The times.
     *
     * @param files the sources
     * @param seconds of each source on its own
     * @param parallelSeconds of all of them, on {@code threads} threads
     */
    public record Times(List<String> files, List<Double> seconds, double parallelSeconds, int threads) {
        public double serialSeconds() {
            return seconds.stream().mapToDouble(Double::doubleValue).sum();
        }
    }

    /**
     * Compiles everything twice.
     *
     * @param architecture {@code sm_XX}
     * @param scratch a folder for what comes out; emptied afterwards
     * @throws CudaException if a kernel does not compile
     * @throws IOException if the folder cannot be used
     */
    public static Times measure(String architecture, Path scratch) throws IOException {
        List<Double> seconds = new ArrayList<>();
        Path serial = scratch.resolve("serial");
        Path parallel = scratch.resolve("parallel");
        try {
            Compiler compiler = new Compiler(architecture, new KernelCache(List.of(), serial));
            for (String file : Compiler.FILES) {
                long start = System.nanoTime();
                compiler.cubin(file, Compiler.source(file));
                seconds.add((System.nanoTime() - start) / 1e9);
            }
            int threads = Math.min(Compiler.FILES.size(), Runtime.getRuntime().availableProcessors());
            Compiler together = new Compiler(architecture, new KernelCache(List.of(), parallel));
            ExecutorService pool = Executors.newFixedThreadPool(threads);
            long start = System.nanoTime();
            try {
                List<Future<?>> all = new ArrayList<>();
                for (String file : Compiler.FILES) {
                    all.add(pool.submit(() -> together.cubin(file, Compiler.source(file))));
                }
                for (Future<?> one : all) {
                    one.get();
                }
            } catch (ExecutionException e) {
                throw new CudaException(
                        "kernels do not compile at once: " + e.getCause().getMessage());
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new CudaException("compiling was interrupted");
            } finally {
                pool.shutdownNow();
            }
            return new Times(Compiler.FILES, seconds, (System.nanoTime() - start) / 1e9, threads);
        } finally {
            delete(scratch);
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
