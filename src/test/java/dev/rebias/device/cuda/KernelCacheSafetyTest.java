package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Compiled kernels are code: they are taken only from where nobody else can have put them. */
final class KernelCacheSafetyTest {
    private static final String KEY = "0123456789abcdef";
    private static final byte[] CUBIN = {1, 2, 3};

    @TempDir
    Path folder;

    private static Path open(Path place) throws IOException {
        Files.setPosixFilePermissions(place, PosixFilePermissions.fromString("rwxrwxrwx"));
        return place;
    }

    @Test
    void whatOthersCanWriteToIsNeitherReadNorWritten() throws IOException {
        Path planted = Files.createDirectory(folder.resolve("planted"));
        new KernelCache(List.of(), planted).keep(KEY, "maker", "source", CUBIN);
        assertThat(new KernelCache(List.of(), planted).find(KEY, "maker")).contains(CUBIN);
        open(planted);
        KernelCache cache = new KernelCache(List.of(), planted);
        assertThat(cache.find(KEY, "maker")).isEmpty();
        assertThat(cache.folder()).isNotEqualTo(planted);
        assertThat(cache.problem().orElseThrow())
                .contains(planted.toString(), "can be written to by others", "yours alone");
        cache.keep("fedcba9876543210", "maker", "source", CUBIN);
        assertThat(planted.resolve("fedcba9876543210.cubin")).doesNotExist();
        assertThat(cache.find("fedcba9876543210", "maker")).contains(CUBIN);
        assertThat(new KernelCache(List.of(planted), folder.resolve("own")).find(KEY, "maker"))
                .isEmpty();
    }

    @Test
    void keepingLeavesNothingBesideAndReplacesWhatIsBad() throws IOException {
        Path place = folder.resolve("made/when/needed");
        KernelCache cache = new KernelCache(List.of(), place);
        cache.keep(KEY, "maker", "source", CUBIN);
        cache.keep(KEY, "maker", "source", new byte[] {4});
        assertThat(cache.find(KEY, "maker")).contains(new byte[] {4});
        assertThat(cache.problem()).isEmpty();
        try (var files = Files.list(place)) {
            assertThat(files.map(f -> f.getFileName().toString()))
                    .containsExactlyInAnyOrder(KEY + ".cubin", KEY + ".cu");
        }
    }
}
