package dev.rebias.device.cuda;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import org.bytedeco.cuda.global.cublas;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.cuda.global.cudnn;
import org.bytedeco.cuda.global.nvrtc;
import org.bytedeco.javacpp.Loader;

/**
 * The libraries that the CUDA device needs, looked for once. The presets' first failure hides the reason in its deepest cause and every later one is a
 * bare NoClassDefFoundError, so what was found is kept, and nothing else touches the presets before this has said that they are there.
 */
public final class CudaLibraries {
    private static final String NEEDED = "CUDA 13";

    private CudaLibraries() {}

    /**
     * One library.
     *
     * @param name what it is
     * @param file the file that is looked for
     * @param problem why it cannot be used; empty if it can
     * @param remedy the one line that cures that
     */
    public record Library(String name, String file, Optional<String> problem, String remedy) {
        public boolean found() {
            return problem.isEmpty();
        }
    }

    private static final class Holder {
        private static final List<Library> ALL = List.of(
                load(
                        "NVIDIA driver",
                        "libcuda.so.1",
                        cudart.class,
                        "install NVIDIA's driver, release 580 or later (in a container: start it with --gpus all)"),
                load(
                        "NVRTC, the kernel compiler",
                        "libnvrtc.so.13",
                        nvrtc.class,
                        "install " + NEEDED
                                + "'s NVRTC, e.g. 'apt-get install cuda-nvrtc-13-0' from NVIDIA's repository"),
                load(
                        "cuBLAS",
                        "libcublas.so.13",
                        cublas.class,
                        "install " + NEEDED
                                + "'s cuBLAS, e.g. 'apt-get install libcublas-13-0' from NVIDIA's repository"),
                load(
                        "cuDNN",
                        "libcudnn_cnn.so.9",
                        cudnn.class,
                        "install cuDNN 9 for " + NEEDED
                                + ", e.g. 'apt-get install cudnn9-cuda-13' from NVIDIA's repository"));
    }

    /** All of them, found or not. The first call loads what there is. */
    public static List<Library> all() {
        return Holder.ALL;
    }

    /** In one sentence, what is missing first and what to do about it; empty if all is there. */
    public static Optional<String> missing() {
        return all().stream().filter(l -> !l.found()).findFirst().map(l -> problem(l) + ": " + l.remedy());
    }

    private static String problem(Library library) {
        String what = library.file().equals("libcuda.so.1")
                ? "no NVIDIA driver was found"
                : library.name() + " was not found";
        return what + " (" + library.problem().orElseThrow() + ")";
    }

    /** Whether NVRTC, which needs no driver, can be used. */
    static Library compiler() {
        return all().stream()
                .filter(l -> l.file().startsWith("libnvrtc"))
                .findFirst()
                .orElseThrow();
    }

    private static Library load(String name, String file, Class<?> presets, String remedy) {
        return new Library(name, file, problem(() -> Loader.load(presets)), remedy);
    }

    private static Optional<String> problem(Runnable load) {
        try {
            load.run();
            return Optional.empty();
        } catch (LinkageError e) {
            Throwable deepest = e;
            List<String> texts = new ArrayList<>();
            while (deepest != null) {
                texts.add(String.valueOf(deepest.getMessage()));
                deepest = deepest.getCause();
            }
            // The dynamic linker's own words, if they are among them, tell which file is missing.
            String reason = texts.stream()
                    .filter(t -> t.contains("cannot open shared object file"))
                    .reduce((a, b) -> b)
                    .orElse(texts.get(texts.size() - 1));
            return Optional.of(withoutPath(reason));
        }
    }

    /** "/cache/libjnicudart.so: libcuda.so.1: cannot open ..": the first path is JavaCPP's own, which says nothing to the user. */
    private static String withoutPath(String reason) {
        List<String> parts = List.of(reason.split(": ", -1));
        int last = parts.size() - 1;
        return parts.size() < 3
                ? reason
                : parts.subList(last - 2, last).stream().collect(Collectors.joining(": "));
    }
}
