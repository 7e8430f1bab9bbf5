package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.device.Emulator;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Which of CUDA's libraries a process has, that they come from one place, and that it is the place which was named. */
final class MappedLibrariesTest {
    @TempDir
    Path folder;

    private static MappedLibraries mapped(String... paths) {
        return MappedLibraries.of(Stream.of(paths).flatMap(p -> Stream.of("r--p", "r-xp")
                .map(rights -> "7f0000000000-7f0000001000 " + rights + " 00000000 08:01 42    " + p)));
    }

    @Test
    void filesHaveTheVersionsOfTheirNames() {
        MappedLibraries all = mapped(
                "/usr/lib/x86_64-linux-gnu/libcudnn_cnn.so.9.19.0",
                "/opt/a b/nvidia/cudnn/lib/libcudnn_ops.so.9 (deleted)",
                "/usr/local/cuda/lib64/libnvrtc-builtins.so.13.1.80",
                "/usr/local/cuda/lib64/libcublasLt.so.13.2.0.9",
                "/usr/lib/libcuda.so.580.65.06",
                "/usr/local/cuda/lib64/libcudart.so.13",
                "/usr/lib/libcudadebugger.so.1",
                "/cache/libjnicudnn.so",
                "[heap]");
        assertThat(all.files().stream()
                        .map(f -> f.family() + " " + f.path().getFileName() + " "
                                + f.version().orElse("-")))
                .containsExactlyInAnyOrder(
                        "cuDNN libcudnn_cnn.so.9.19.0 9.19.0",
                        "cuDNN libcudnn_ops.so.9 -",
                        "NVRTC libnvrtc-builtins.so.13.1.80 13.1.80",
                        "cuBLAS libcublasLt.so.13.2.0.9 13.2.0.9",
                        "the driver libcuda.so.580.65.06 580.65.06",
                        "the CUDA runtime libcudart.so.13 -");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "/a/libcudnn_cnn.so.9.19.0,/b/libcudnn_ops.so.9.5.1",
                "/a/libcudnn_cnn.so.9.19.0,/a/libcudnn_engines_tensor_ir.so.9.10.2",
                "/a/libcudnn_cnn.so.9,/b/libcudnn_engines_tensor_ir.so.9.10.2",
                "/a/libcudnn_cnn.so.9,/b/libcudnn_cnn.so.9",
                "/a/libcublas.so.13.2.0.9,/b/libcublasLt.so.12.6.4.1",
                "/a/libcublas.so.13,/b/libcublasLt.so.13",
                "/a/libnvrtc.so.13.1.80,/a/libnvrtc-builtins.so.13.0.88",
                "/a/libnvrtc.so.13,/b/libnvrtc-builtins.so.13.0.88",
                "/a/libcudart.so.13.1.80,/b/libcudart.so.13.0.96"
            })
    void twoVersionsOrInstallationsOfOneAreAConflictWithACure(String paths) {
        String[] files = paths.split(",", -1);
        assertThat(mapped(files).conflict().orElseThrow())
                .contains(files[0].replaceFirst(".*/", ""))
                .contains(files[1].replaceFirst(".*/", ""))
                .contains("parts of two installations")
                .contains("LD_LIBRARY_PATH");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "/a/libcudnn_cnn.so.9.19.0,/a/libcudnn_ops.so.9.19.0,/b/libcublas.so.13.2.0.9,/c/libnvrtc.so.13.1.80",
                "/a/libcudnn_cnn.so.9.19.0,/b/libcudnn_ops.so.9.19.0",
                "/a/libnvrtc.so.13.1.80,/b/libnvrtc-builtins.so.13.1",
                "/a/libnvrtc.so.13,/a/libnvrtc-builtins.so.13.0,/b/libnvrtc-builtins.so.13.1",
                "/wheels/cudnn/lib/libcudnn_cnn.so.9,/wheels/cudnn/lib/libcudnn_ops.so.9,/wheels/cu13/lib/libcublas.so.13",
                "/a/libcudnn_cnn.so.9,/a/libcudnn_cnn.so.9"
            })
    void oneInstallationIsNone(String paths) {
        assertThat(mapped(paths.split(",", -1)).conflict()).isEmpty();
    }

    @Test
    @Tag("cuda")
    @Tag("emulator")
    void onTheEmulatorNothingComesFromAToolkitOfThisMachine() {
        Emulator.require();
        assertThat(CudaLibraries.missing()).isEmpty();
        List<MappedLibraries.LibraryFile> files = MappedLibraries.now().files();
        assertThat(files.stream().map(f -> f.path().getFileName().toString()))
                .contains(
                        "libcuda.so.1",
                        "libcudart.so.13",
                        "libnvrtc.so.13",
                        "libnvrtc-builtins.so.13.0",
                        "libcublas.so.13",
                        "libcublasLt.so.13",
                        "libcudnn_cnn.so.9",
                        "libcudnn_engines_tensor_ir.so.9");
        assertThat(files).allSatisfy(f -> assertThat(f.path())
                .startsWith(Path.of(System.getProperty("rebias.test.emulator")).toAbsolutePath()));
    }

    /** What the doctor prints in a process of its own, with those folders on its library path. */
    private String doctor(List<Path> libraryPath, String... properties) throws IOException, InterruptedException {
        String path = libraryPath.stream().map(Path::toString).collect(Collectors.joining(":"));
        CardProcess outcome = CardProcess.run(folder, Map.of("LD_LIBRARY_PATH", path), List.of(properties), "doctor");
        assertThat(outcome.exitCode()).isZero();
        return outcome.output();
    }

    private static Path emulator() {
        return CardProcess.emulator();
    }

    /** A copy of the emulator's libraries, as another installation, of which the files carry that version. */
    private Path copy(String name, String version) throws IOException {
        Path to = Files.createDirectories(folder.resolve(name));
        try (Stream<Path> files = Files.list(emulator())) {
            for (Path file : files.toList()) {
                boolean dnn = file.getFileName().toString().startsWith("libcudnn");
                Path target = to.resolve(file.getFileName() + (dnn ? version : ""));
                Files.copy(file, target);
                if (dnn) {
                    Files.createSymbolicLink(to.resolve(file.getFileName()), target.getFileName());
                }
            }
        }
        return to;
    }

    @Test
    @Tag("cuda")
    @Tag("emulator")
    void theFolderThatIsNamedDecides() throws Exception {
        Path other = copy("other", ".19.0");
        String mapped = doctor(List.of(emulator()), "-Dorg.bytedeco.javacpp.platform.linkpath=" + other);
        assertThat(mapped).contains("cuda  libraries ready");
        // The driver is the system's: JavaCPP leaves it to the loader.
        assertThat(mapped.lines().filter(l -> l.contains("      mapped ") && !l.contains("the driver")))
                .hasSizeGreaterThan(8)
                .allSatisfy(l -> assertThat(l).contains(other.toString()));
    }

    @Test
    @Tag("cuda")
    @Tag("emulator")
    void aMixtureIsAnErrorThatNamesBothAndTheCure() throws Exception {
        Path one = copy("one", ".19.0");
        Path two = copy("two", ".5.1");
        Files.delete(one.resolve("libcudnn_ops.so.9"));
        assertThat(doctor(List.of(one, two)))
                .contains("cuda  not ready")
                .contains(".so.9.5.1 of " + two)
                .contains(".so.9.19.0 of " + one)
                .contains("put the folder of the one that is to be used first on LD_LIBRARY_PATH");
    }
}
