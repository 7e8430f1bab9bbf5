package dev.rebias.device.cuda;

import dev.rebias.device.Upcoming;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Compiles the kernels of {@code cuda-kernels/} ahead of time, as the build of a container image does. Needs NVRTC, and
 * no GPU.
 */
public final class KernelCompiler {
    private KernelCompiler() {}

    /** The folder into which kernels are compiled when nothing else is said. */
    public static Path defaultFolder() {
        return Compiler.cache().folder();
    }

    /**
     * Compiles all of them for one architecture into a folder, which a later run is given as its cache, or as the
     * system property {@code rebias.kernels}.
     *
     * @param architecture {@code sm_XX}
     * @return the names of the sources
     * @throws dev.rebias.error.DeviceUnavailableException if NVRTC is not there
     * @throws CudaException if one does not compile, or the folder cannot be written
     */
    public static List<String> compile(String architecture, Path folder) {
        return compile(architecture, folder, List.of()).sources();
    }

    /**
     * What was compiled.
     *
     * @param sources their names
     * @param summary how many and how long that took, in words
     */
    public record Compiled(List<String> sources, String summary) {
        public Compiled {
            sources = List.copyOf(sources);
        }
    }

    /**
     * The same, and the kernels of elementwise operations that a network needs besides; several at once.
     *
     * @param operations a correction's ({@code BiasCorrection.operations})
     */
    public static Compiled compile(String architecture, Path folder, List<Upcoming> operations) {
        KernelCache cache = new KernelCache(List.of(), folder);
        Compiler compiler = new Compiler(architecture, cache);
        Map<String, String> titles = new LinkedHashMap<>();
        Compiler.FILES.forEach(file -> titles.put(Compiler.source(file), file));
        titles.putAll(ExpectedKernels.of(operations));
        titles.entrySet().parallelStream().forEach(e -> compiler.cubin(e.getValue(), e.getKey()));
        cache.problem().ifPresent(problem -> {
            throw new CudaException(problem);
        });
        return new Compiled(List.copyOf(titles.values()), compiler.summary());
    }

    /** NVRTC's version. */
    public static String compilerVersion() {
        return Compiler.version();
    }
}
