package dev.rebias.device.cuda;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Loader;

/**
 * The installation that CUDA's libraries are taken from: folders that together hold all of them. The first complete one
 * is taken, of what the user names, the library path, toolkits, and Python's {@code nvidia-*} packages; two are never
 * mixed, because libraries of two releases in one process fail in ways that name neither.
 *
 * @param origin what it is, for people
 * @param folders in the order in which libraries are looked for
 */
public record CudaInstallation(String origin, List<Path> folders) {
    /** Folders separated by colons, or the one that Python's packages share ({@code site-packages/nvidia}). */
    static final String NAMED = "rebias.cuda.libraries";

    private static final String TOOLKIT = "rebias.cuda.home";
    private static final String LINK_PATH = "platform.linkpath";
    private static final List<Path> SYSTEM =
            paths("/usr/lib/x86_64-linux-gnu:/lib/x86_64-linux-gnu:/usr/lib64:/lib64:/usr/lib:/lib");
    private static final List<String> CUDNN = List.of("libcudnn_graph.so.9", "libcudnn_ops.so.9", "libcudnn_cnn.so.9");
    private static final int PYTHON_SECONDS = 20;

    public CudaInstallation {
        folders = List.copyOf(folders);
    }

    /**
     * Where to look.
     *
     * @param named the user's folders; empty for none
     * @param libraryPath what the dynamic linker is told to search, e.g. LD_LIBRARY_PATH
     * @param toolkits roots of CUDA toolkits, the preferred one first
     * @param system folders of the system, which may complete a library path or a toolkit
     * @param packages asked only where nothing else is complete: Python's folders of packages
     */
    record Places(
            List<Path> named,
            List<Path> libraryPath,
            List<Path> toolkits,
            List<Path> system,
            Supplier<List<Path>> packages) {}

    /**
     * What was found.
     *
     * @param taken empty where nothing is complete
     * @param incomplete what each place that has some of the libraries lacks
     */
    public record Search(Optional<CudaInstallation> taken, List<String> incomplete) {
        /** Folders that the user names are taken, or nothing is: why they cannot be. */
        Optional<String> namedProblem() {
            return taken.isEmpty()
                    ? incomplete.stream()
                            .filter(t -> t.startsWith(NAMED_ORIGIN))
                            .findFirst()
                    : Optional.empty();
        }
    }

    private static final String NAMED_ORIGIN = "REBIAS_CUDA_LIBRARIES";

    private static final class Holder {
        private static final Search SEARCH = take();
    }

    /** What was found on this machine. The first call tells JavaCPP. */
    public static Search onThisMachine() {
        return Holder.SEARCH;
    }

    private static Search take() {
        var javacpp = Loader.loadProperties();
        String linkPath = javacpp.getProperty(LINK_PATH, "");
        if (!linkPath.isEmpty()) {
            return new Search(
                    Optional.of(new CudaInstallation("-Dorg.bytedeco.javacpp.platform.linkpath", paths(linkPath))),
                    List.of());
        }
        String major = CudaLibraries.MAJOR;
        if (Loader.class.getResource("/org/bytedeco/cuda/" + Loader.getPlatform() + "/libcudart.so." + major) != null) {
            return new Search(Optional.of(new CudaInstallation("jars on the class path", List.of())), List.of());
        }
        Search search = search(
                major,
                new Places(
                        paths(System.getProperty(NAMED, "")),
                        paths(System.getProperty("java.library.path", "")),
                        toolkits(major),
                        SYSTEM,
                        CudaInstallation::pythonPackages));
        search.taken()
                .ifPresent(i -> javacpp.setProperty(
                        LINK_PATH,
                        String.join(
                                File.pathSeparator,
                                i.folders().stream().map(Path::toString).toList())));
        return search;
    }

    /** The first complete installation for a CUDA release. */
    static Search search(String major, Places places) {
        List<String> incomplete = new ArrayList<>();
        if (!places.named().isEmpty()) {
            return new Search(complete(NAMED_ORIGIN, expanded(places.named()), major, incomplete), incomplete);
        }
        Optional<CudaInstallation> found =
                complete("the library path", concat(places.libraryPath(), places.system()), major, incomplete);
        for (Path toolkit : places.toolkits()) {
            if (found.isEmpty()) {
                found = complete(
                        "toolkit " + toolkit,
                        concat(List.of(toolkit.resolve("lib64")), places.system()),
                        major,
                        incomplete);
            }
        }
        if (found.isEmpty()) {
            for (Path folder : places.packages().get()) {
                if (found.isEmpty()) {
                    found = complete(
                            "Python's packages in " + folder,
                            expanded(List.of(folder.resolve("nvidia"))),
                            major,
                            incomplete);
                }
            }
        }
        return new Search(found, found.isPresent() ? List.of() : incomplete);
    }

    private static Optional<CudaInstallation> complete(
            String origin, List<Path> folders, String major, List<String> incomplete) {
        Set<Path> used = new LinkedHashSet<>();
        List<String> missing = new ArrayList<>();
        List<String> wanted = new ArrayList<>(List.of(
                "libcudart.so." + major, "libnvrtc.so." + major, "libcublas.so." + major, "libcublasLt.so." + major));
        wanted.addAll(CUDNN);
        for (String file : wanted) {
            folders.stream()
                    .filter(f -> Files.exists(f.resolve(file)))
                    .findFirst()
                    .ifPresentOrElse(used::add, () -> missing.add(file));
        }
        if (missing.isEmpty()) {
            return Optional.of(new CudaInstallation(origin, List.copyOf(used)));
        }
        if (!used.isEmpty() || origin.equals(NAMED_ORIGIN)) {
            incomplete.add(origin + " has no " + String.join(", ", missing));
        }
        return Optional.empty();
    }

    /** Folders, and behind each those that Python's packages have below it: {@code cu13/lib}, {@code cudnn/lib} .. */
    private static List<Path> expanded(List<Path> folders) {
        List<Path> all = new ArrayList<>();
        for (Path folder : folders) {
            all.add(folder);
            all.addAll(list(folder)
                    .map(f -> f.resolve("lib"))
                    .filter(Files::isDirectory)
                    .sorted()
                    .toList());
        }
        return all;
    }

    private static List<Path> toolkits(String major) {
        List<Path> all = new ArrayList<>(paths(System.getProperty(TOOLKIT, "")));
        all.add(Path.of("/usr/local/cuda"));
        list(Path.of("/usr/local"))
                .filter(p -> p.getFileName().toString().matches("cuda-" + major + "(\\.\\d+)?"))
                .sorted((a, b) -> b.compareTo(a))
                .forEach(all::add);
        // /usr/local/cuda is mostly a link to one of the others.
        Set<Path> seen = new LinkedHashSet<>();
        all.removeIf(p -> Files.exists(p) && !seen.add(real(p)));
        return all;
    }

    private static Path real(Path path) {
        try {
            return path.toRealPath();
        } catch (IOException e) {
            return path;
        }
    }

    /** The folders that the python3 on the PATH takes packages from; empty where there is none that answers. */
    private static List<Path> pythonPackages() {
        String question =
                "import site, sys; print('\\n'.join(site.getsitepackages() + [site.getusersitepackages()] + sys.path))";
        try {
            Process python = new ProcessBuilder("python3", "-c", question)
                    .redirectErrorStream(true)
                    .start();
            python.getOutputStream().close();
            if (!python.waitFor(PYTHON_SECONDS, TimeUnit.SECONDS)) {
                python.destroyForcibly();
                return List.of();
            }
            try (InputStream answer = python.getInputStream()) {
                String text = new String(answer.readAllBytes(), StandardCharsets.UTF_8);
                return python.exitValue() == 0
                        ? text.lines()
                                .filter(l -> l.startsWith("/"))
                                .map(Path::of)
                                .distinct()
                                .toList()
                        : List.of();
            }
        } catch (IOException e) {
            // No python3 on the PATH: nothing to be found there.
            return List.of();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return List.of();
        }
    }

    private static Stream<Path> list(Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            return files.toList().stream();
        } catch (IOException e) {
            // Not there, or not for us to read.
            return Stream.empty();
        }
    }

    private static List<Path> concat(List<Path> first, List<Path> second) {
        return Stream.concat(first.stream(), second.stream()).distinct().toList();
    }

    private static List<Path> paths(String list) {
        return Stream.of(list.split(File.pathSeparator))
                .filter(p -> !p.isEmpty())
                .map(Path::of)
                .toList();
    }
}
