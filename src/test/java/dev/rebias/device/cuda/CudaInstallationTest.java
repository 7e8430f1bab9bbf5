package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Which of several installations CUDA's libraries are taken from. */
final class CudaInstallationTest {
    private static final List<String> CUDA =
            List.of("libcudart.so.13", "libnvrtc.so.13", "libcublas.so.13", "libcublasLt.so.13");
    private static final List<String> CUDNN = List.of("libcudnn_graph.so.9", "libcudnn_ops.so.9", "libcudnn_cnn.so.9");

    @TempDir
    private Path folder;

    private final AtomicInteger pythons = new AtomicInteger();

    private Path with(String name, List<String> files) throws IOException {
        Path made = Files.createDirectories(folder.resolve(name));
        for (String file : files) {
            Files.createFile(made.resolve(file));
        }
        return made;
    }

    private CudaInstallation.Search search(
            List<Path> named, List<Path> libraryPath, List<Path> toolkits, Path... packages) {
        return CudaInstallation.search(
                "13", new CudaInstallation.Places(named, libraryPath, toolkits, List.of(), () -> {
                    pythons.incrementAndGet();
                    return List.of(packages);
                }));
    }

    @Test
    void theLibraryPathComesFirstAndPythonIsNotEvenAsked() throws IOException {
        Path path = with("path", concat(CUDA, CUDNN));
        Path toolkit = with("toolkit/lib64", concat(CUDA, CUDNN)).getParent();
        CudaInstallation.Search search = search(List.of(), List.of(path), List.of(toolkit));
        assertThat(search.taken()).contains(new CudaInstallation("the library path", List.of(path)));
        assertThat(pythons).hasValue(0);
    }

    @Test
    void foldersOfTheLibraryPathServeTogether() throws IOException {
        Path cuda = with("a", CUDA);
        Path cudnn = with("b", CUDNN);
        assertThat(search(List.of(), List.of(cuda, cudnn), List.of())
                        .taken()
                        .orElseThrow()
                        .folders())
                .containsExactly(cuda, cudnn);
    }

    @Test
    void aToolkitWithoutCudnnIsPassedOverForPythonsPackagesAndSaid() throws IOException {
        Path toolkit = with("toolkit/lib64", CUDA).getParent();
        Path site = folder.resolve("site");
        with("site/nvidia/cu13/lib", CUDA);
        with("site/nvidia/cudnn/lib", CUDNN);
        CudaInstallation.Search search = search(List.of(), List.of(), List.of(toolkit), site);
        CudaInstallation taken = search.taken().orElseThrow();
        assertThat(taken.origin()).isEqualTo("Python's packages in " + site);
        // None of the toolkit's folders: two installations are never mixed.
        assertThat(taken.folders()).containsExactly(site.resolve("nvidia/cu13/lib"), site.resolve("nvidia/cudnn/lib"));
    }

    @Test
    void packagesOfOneLibraryEachServeTogether() throws IOException {
        Path site = folder.resolve("site");
        with("site/nvidia/cuda_runtime/lib", List.of(CUDA.get(0)));
        with("site/nvidia/cuda_nvrtc/lib", List.of(CUDA.get(1)));
        with("site/nvidia/cublas/lib", CUDA.subList(2, 4));
        with("site/nvidia/cudnn/lib", CUDNN);
        assertThat(search(List.of(), List.of(), List.of(), site)
                        .taken()
                        .orElseThrow()
                        .folders())
                .hasSize(4);
    }

    @Test
    void halvesOfTwoPythonsAreNoInstallation() throws IOException {
        with("one/nvidia/cu13/lib", CUDA);
        with("two/nvidia/cudnn/lib", CUDNN);
        CudaInstallation.Search search =
                search(List.of(), List.of(), List.of(), folder.resolve("one"), folder.resolve("two"));
        assertThat(search.taken()).isEmpty();
        assertThat(search.incomplete())
                .hasSize(2)
                .anyMatch(t -> t.contains("one") && t.contains("libcudnn_cnn.so.9"))
                .anyMatch(t -> t.contains("two") && t.contains("libcudart.so.13"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"libcudart.so.13", "libcublasLt.so.13", "libcudnn_ops.so.9"})
    void foldersThatTheUserNamesAreTakenOrNothingIs(String missing) throws IOException {
        Path named = with("named", concat(CUDA, CUDNN));
        Path path = with("path", concat(CUDA, CUDNN));
        assertThat(search(List.of(named), List.of(path), List.of())
                        .taken()
                        .orElseThrow()
                        .folders())
                .containsExactly(named);
        Files.delete(named.resolve(missing));
        CudaInstallation.Search search = search(List.of(named), List.of(path), List.of());
        assertThat(search.taken()).isEmpty();
        assertThat(search.namedProblem())
                .hasValueSatisfying(
                        t -> assertThat(t).contains("REBIAS_CUDA_LIBRARIES").contains(missing));
    }

    @Test
    void theFolderThatPythonsPackagesShareMayBeNamed() throws IOException {
        with("site/nvidia/cu13/lib", CUDA);
        with("site/nvidia/cudnn/lib", CUDNN);
        assertThat(search(List.of(folder.resolve("site/nvidia")), List.of(), List.of())
                        .taken())
                .isPresent();
    }

    @Test
    void librariesOfAnotherReleaseDoNotCount() throws IOException {
        Path path = with(
                "path",
                concat(List.of("libcudart.so.12", "libnvrtc.so.12", "libcublas.so.12", "libcublasLt.so.12"), CUDNN));
        assertThat(search(List.of(), List.of(path), List.of()).taken()).isEmpty();
    }

    private static List<String> concat(List<String> a, List<String> b) {
        return java.util.stream.Stream.concat(a.stream(), b.stream()).toList();
    }
}
