package dev.rebias.device.cuda;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * CUDA's libraries that are mapped into this process, whoever loaded them, as the system lists them. Libraries that
 * belong together call each other without checking: parts of two versions in one process fail, or worse.
 *
 * @param files in the order of their paths; where the system lists no mappings, none
 */
public record MappedLibraries(List<LibraryFile> files) {
    private static final Path MAPS = Path.of("/proc/self/maps");
    private static final Pattern NAME =
            Pattern.compile("lib(cudnn|cublas|nvrtc|cudart|cuda(?=\\.))[\\w.-]*?\\.so(?:\\.(\\d+(?:\\.\\d+)*))?");

    public MappedLibraries {
        files = List.copyOf(files);
    }

    /**
     * One file.
     *
     * @param family what it is part of: cuDNN, cuBLAS, NVRTC, the CUDA runtime or the driver
     * @param version as its name says it; empty if the name has no more than a major version
     */
    public record LibraryFile(String family, Path path, Optional<String> version) {
        private boolean fits(LibraryFile other) {
            if (version.isPresent() && other.version.isPresent()) {
                String a = version.get() + ".";
                String b = other.version.get() + ".";
                return a.startsWith(b) || b.startsWith(a);
            }
            return folder().equals(other.folder());
        }

        private boolean isBuiltins() {
            return path.getFileName().toString().startsWith("libnvrtc-builtins");
        }

        private Path folder() {
            return path.toAbsolutePath().getParent();
        }

        private String text() {
            return path.getFileName() + " of " + folder();
        }
    }

    /** Those of this process, now. */
    public static MappedLibraries now() {
        if (!Files.isReadable(MAPS)) {
            return new MappedLibraries(List.of());
        }
        try (Stream<String> lines = Files.lines(MAPS)) {
            return of(lines);
        } catch (IOException e) {
            throw new CudaException("the libraries of this process cannot be listed: " + MAPS + ": " + e.getMessage());
        }
    }

    /** Those in a list of mappings in the form of {@code /proc/self/maps}. */
    static MappedLibraries of(Stream<String> lines) {
        List<LibraryFile> files = new ArrayList<>();
        lines.filter(line -> line.contains("/"))
                .map(line -> line.substring(line.indexOf('/')).replaceFirst(" \\(deleted\\)$", ""))
                .distinct()
                .sorted()
                .forEach(path -> {
                    Matcher name = NAME.matcher(path.substring(path.lastIndexOf('/') + 1));
                    if (name.matches()) {
                        Optional<String> version =
                                Optional.ofNullable(name.group(2)).filter(v -> v.contains("."));
                        files.add(new LibraryFile(family(name.group(1)), Path.of(path), version));
                    }
                });
        return new MappedLibraries(files);
    }

    private static String family(String name) {
        return switch (name) {
            case "cudnn" -> "cuDNN";
            case "cublas" -> "cuBLAS";
            case "nvrtc" -> "NVRTC";
            case "cudart" -> "the CUDA runtime";
            default -> "the driver";
        };
    }

    /**
     * In one sentence, which two versions of one family there are, and what to do about it; empty if there are none.
     */
    public Optional<String> conflict() {
        for (LibraryFile one : files) {
            for (LibraryFile other : files) {
                if (one.family().equals(other.family()) && !one.fits(other) && !isSpare(one) && !isSpare(other)) {
                    return Optional.of("parts of two installations of " + one.family() + " are loaded, " + one.text()
                            + " and " + other.text() + ": put the folder of the one that is to be used first on "
                            + "LD_LIBRARY_PATH, or remove the other");
                }
            }
        }
        return Optional.empty();
    }

    /**
     * Whether these are built-in functions for an NVRTC that has its own: it opens those of its release by their name,
     * whatever others are loaded.
     */
    private boolean isSpare(LibraryFile file) {
        return file.isBuiltins()
                && files.stream()
                        .filter(f -> f.family().equals("NVRTC") && !f.isBuiltins())
                        .allMatch(compiler -> files.stream().anyMatch(f -> f.isBuiltins() && f.fits(compiler)));
    }

    /** The folders that a family's files come from. */
    Set<Path> folders(String family) {
        Set<Path> folders = new LinkedHashSet<>();
        files.stream().filter(f -> f.family().equals(family)).forEach(f -> folders.add(f.folder()));
        return folders;
    }
}
