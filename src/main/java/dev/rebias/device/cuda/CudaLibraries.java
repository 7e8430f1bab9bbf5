package dev.rebias.device.cuda;

import dev.rebias.runtime.NativeLibraries;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.bytedeco.cuda.global.cublas;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.cuda.global.cudnn;
import org.bytedeco.cuda.global.nvrtc;
import org.bytedeco.javacpp.Loader;

/**
 * The libraries that the CUDA device needs, looked for once. The presets' first failure hides the reason in its deepest
 * cause and every later one is a bare NoClassDefFoundError, so what was found is kept, and nothing else touches the
 * presets before this has said that they are there.
 */
public final class CudaLibraries {
    /**
     * The CUDA release that the presets on the class path are made for: 13, or 12 with the Maven profile that brings
     * its libraries along.
     */
    static final String MAJOR = major();

    private static final String LINK_PATH = "platform.linkpath";

    /** What Java appends to the library path on Linux. */
    private static final Set<String> JAVAS_OWN =
            Set.of("/usr/java/packages/lib", "/usr/lib64", "/lib64", "/lib", "/usr/lib");

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

        private Library with(Optional<String> newProblem) {
            return new Library(name, file, newProblem, remedy);
        }
    }

    private static final class Holder {
        private static final List<Library> ALL = find();
    }

    private static List<Library> find() {
        Library driver = new Library(
                "NVIDIA driver",
                "libcuda.so.1",
                Optional.empty(),
                "install NVIDIA's driver, release 580 or later (in a container: start it with --gpus all)");
        Library runtime = fromPackage("CUDA runtime", "libcudart.so." + MAJOR, "cuda-cudart");
        Library compiler = fromPackage("NVRTC, the kernel compiler", "libnvrtc.so." + MAJOR, "cuda-nvrtc");
        Library blas = fromPackage("cuBLAS", "libcublas.so." + MAJOR, "libcublas");
        Library dnn = fromPackage("cuDNN", "libcudnn_cnn.so.9", "libcudnn9-cuda");
        Optional<String> named = CudaInstallation.onThisMachine().namedProblem();
        if (named.isPresent()) {
            return Stream.of(driver, runtime, compiler, blas, dnn)
                    .map(l -> l.with(named))
                    .toList();
        }
        // The presets of the others need those of driver and runtime, whose JNI library needs both.
        Optional<String> problem = load(cudart.class);
        if (problem.isEmpty()) {
            return List.of(
                    driver,
                    runtime,
                    withParts(
                            compiler.with(load(nvrtc.class)), "NVRTC", "libnvrtc-builtins\\.so\\." + MAJOR + "\\.\\d+"),
                    blas.with(load(cublas.class)),
                    withParts(dnn.with(load(cudnn.class)), "cuDNN", "libcudnn_engines_\\w+\\.so\\.9"));
        }
        boolean runtimeMissing = problem.get().contains(runtime.file());
        List<Library> all = new ArrayList<>();
        all.add(runtimeMissing ? driver : driver.with(problem));
        all.add(runtimeMissing ? runtime.with(problem) : runtime.with(absent(runtime)));
        List.of(compiler, blas, dnn).forEach(l -> all.add(l.with(absent(l))));
        return List.copyOf(all);
    }

    /**
     * Loads what a library itself would load later, by its name alone and so from wherever the system finds that name
     * first, or nowhere: NVRTC's built-in functions, of which the presets know those of one release, and cuDNN's
     * engines. They are taken from the folders of what is loaded.
     *
     * @param family as {@link MappedLibraries} calls it
     * @param names of the parts, as a regular expression
     */
    private static Library withParts(Library library, String family, String names) {
        if (!library.found()) {
            return library;
        }
        for (Path folder : MappedLibraries.now().folders(family)) {
            try (Stream<Path> files = Files.list(folder)) {
                files.filter(f -> f.getFileName().toString().matches(names))
                        .sorted()
                        .forEach(f -> System.load(f.toString()));
            } catch (IOException | UnsatisfiedLinkError e) {
                return library.with(Optional.of("its parts in " + folder + ": " + e.getMessage()));
            }
        }
        return library;
    }

    private static Library fromPackage(String name, String file, String debianPackage) {
        return new Library(
                name,
                file,
                Optional.empty(),
                "install that of CUDA " + MAJOR + ", e.g. 'apt-get install " + debianPackage
                        + (debianPackage.endsWith("cuda") ? "-" + MAJOR : MAJOR.equals("13") ? "-13-0" : "-12-6")
                        + "' from NVIDIA's repository, or run in docker/'s image");
    }

    private static String major() {
        try {
            return Loader.getVersion("org.bytedeco", "cuda").replaceAll("\\..*", "");
        } catch (IOException e) {
            throw new IllegalStateException("the CUDA presets on the class path do not say their version", e);
        }
    }

    /**
     * Whether a file is neither on the class path nor in a folder that libraries are loaded from: all that can be said
     * while the driver is missing.
     */
    private static Optional<String> absent(Library library) {
        String folders = System.getProperty("java.library.path") + ":/usr/local/cuda/lib64";
        boolean there = Stream.of(folders.split(":"))
                        .filter(f -> !f.isEmpty())
                        .anyMatch(f -> Files.exists(Path.of(f, library.file())))
                || Loader.class.getResource("/org/bytedeco/cuda/" + Loader.getPlatform() + "/" + library.file())
                        != null;
        return there ? Optional.empty() : Optional.of(library.file() + " is in no library folder");
    }

    /** All of them, found or not. The first call loads what there is. */
    public static List<Library> all() {
        NativeLibraries.prepare();
        return Holder.ALL;
    }

    /**
     * In one sentence, what is missing first, or does not go together, and what to do about it; empty if all is well.
     */
    public static Optional<String> missing() {
        return all().stream()
                .filter(l -> !l.found())
                .findFirst()
                .map(l -> problem(l) + ": " + l.remedy())
                .or(() -> MappedLibraries.now().conflict());
    }

    private static String problem(Library library) {
        String what = library.file().equals("libcuda.so.1")
                ? "no NVIDIA driver was found"
                : library.name() + " was not found";
        return what + " (" + library.problem().orElseThrow() + ")";
    }

    /** The versions of what is there, by library name. */
    public static Map<String, String> versions() {
        Map<String, String> versions = new LinkedHashMap<>();
        if (compilerMissing().isPresent()) {
            return versions;
        }
        for (Library library : all()) {
            if (library.found()) {
                versions.put(
                        library.name(),
                        switch (library.name()) {
                            case "NVIDIA driver" -> "knows CUDA " + dotted(CudaCards.driverVersion());
                            case "CUDA runtime" -> dotted(runtimeVersion());
                            case "cuDNN" -> cudnnVersion();
                            case "cuBLAS" -> cublasVersion();
                            default -> Compiler.version();
                        });
            }
        }
        return versions;
    }

    private static int runtimeVersion() {
        int[] version = new int[1];
        Status.cuda(cudart.cudaRuntimeGetVersion(version), "cudaRuntimeGetVersion");
        return version[0];
    }

    private static String cudnnVersion() {
        long version = cudnn.cudnnGetVersion();
        return version / 10000 + "." + version % 10000 / 100 + "." + version % 100;
    }

    private static String cublasVersion() {
        int[] number = new int[1];
        List<String> numbers = new ArrayList<>();
        for (int part : List.of(cudart.MAJOR_VERSION, cudart.MINOR_VERSION, cudart.PATCH_LEVEL)) {
            Status.cublas(cublas.cublasGetProperty(part, number), "cublasGetProperty", "");
            numbers.add(Integer.toString(number[0]));
        }
        return String.join(".", numbers);
    }

    private static String dotted(int version) {
        return version / 1000 + "." + version % 1000 / 10;
    }

    /**
     * In one sentence, why NVRTC cannot be used; empty if it can. It needs no GPU, but its presets need libcuda.so.1:
     * an empty file of that name is enough for them, as docker/'s image build has it.
     */
    static Optional<String> compilerMissing() {
        return all().stream().limit(3).filter(l -> !l.found()).findFirst().map(l -> problem(l) + ": " + l.remedy());
    }

    /**
     * Loads presets and the libraries that they need. These have folders of their own, which JavaCPP searches before
     * the library path; what it is told by its property platform.linkpath it searches before these. So a folder that
     * the user names is searched before {@code /usr/local/cuda}.
     */
    private static Optional<String> load(Class<?> presets) {
        Properties javacpp = Loader.loadProperties();
        String named = javacpp.getProperty(LINK_PATH, "");
        javacpp.setProperty(LINK_PATH, String.join(File.pathSeparator, folders(named)));
        try {
            Loader.load(presets);
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
        } finally {
            javacpp.setProperty(LINK_PATH, named);
        }
    }

    /**
     * The folders that the user names: as JavaCPP's property, then on the library path, of which Java adds the last
     * itself.
     */
    private static List<String> folders(String named) {
        List<String> folders = new ArrayList<>(List.of(named.split(File.pathSeparator)));
        folders.addAll(List.of(System.getProperty("java.library.path", "").split(File.pathSeparator)));
        folders.removeIf(f -> f.isEmpty() || JAVAS_OWN.contains(f));
        return folders;
    }

    /**
     * "/cache/libjnicudart.so: libcuda.so.1: cannot open ..": the first path is JavaCPP's own, which says nothing to
     * the user.
     */
    private static String withoutPath(String reason) {
        List<String> parts = List.of(reason.split(": ", -1));
        int last = parts.size() - 1;
        return parts.size() < 3
                ? reason
                : parts.subList(last - 2, last).stream().collect(Collectors.joining(": "));
    }
}
