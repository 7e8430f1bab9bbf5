package dev.rebias.device.cuda;

import java.nio.file.Path;
import java.util.List;

/** Compiles the kernels of {@code cuda-kernels/} ahead of time, as the build of a container image does. Needs NVRTC, and no GPU. */
public final class KernelCompiler {
    private KernelCompiler() {}

    /** The folder into which kernels are compiled when nothing else is said. */
    public static Path defaultFolder() {
        return Compiler.cache().folder();
    }

    /**
     * Compiles all of them for one architecture into a folder, which a later run is given as its cache, or as the system property
     * {@code rebias.kernels}.
     *
     * @param architecture {@code sm_XX}
     * @return the names of the sources
     * @throws dev.rebias.error.DeviceUnavailableException if NVRTC is not there
     * @throws CudaException if one does not compile, or the folder cannot be written
     */
    public static List<String> compile(String architecture, Path folder) {
        KernelCache cache = new KernelCache(List.of(), folder);
        Compiler compiler = new Compiler(architecture, cache);
        for (String file : Compiler.FILES) {
            compiler.cubin(file, Compiler.source(file));
            cache.problem().ifPresent(problem -> {
                throw new CudaException(problem);
            });
        }
        return Compiler.FILES;
    }

    /** NVRTC's version. */
    public static String compilerVersion() {
        return Compiler.version();
    }
}
