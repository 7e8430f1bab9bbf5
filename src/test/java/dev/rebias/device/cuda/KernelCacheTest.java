package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.device.Emulator;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Compiled kernels go to those only that they were compiled for, by what would compile them now. */
final class KernelCacheTest {
    private static final byte[] CUBIN = {1, 2, 3, 4, 5};
    private static final String MAKER = "NVRTC 13.1 for sm_90";

    @TempDir
    Path folder;

    private KernelCache cache() {
        return new KernelCache(List.of(), folder);
    }

    @Test
    void aKernelComesBackToWhomItWasMadeFor() {
        cache().keep("0123456789", MAKER, "source", CUBIN);
        assertThat(cache().find("0123456789", MAKER)).hasValue(CUBIN);
        assertThat(new KernelCache(List.of(folder), folder.resolve("other")).find("0123456789", MAKER))
                .as("of a folder that is only read")
                .hasValue(CUBIN);
    }

    @Test
    void whatAnotherCompilerMadeIsNotTakenWhateverItsName() {
        cache().keep("0123456789", MAKER, "source", CUBIN);
        for (String other : List.of("NVRTC 13.0 for sm_90", "NVRTC 13.1 for sm_80", "NVRTC 0.1 for sm_90", "")) {
            assertThat(cache().find("0123456789", other)).as(other).isEmpty();
        }
    }

    @Test
    void aFileSaysWhatMadeIt() throws IOException {
        cache().keep("0123456789", MAKER, "source", CUBIN);
        String all = new String(Files.readAllBytes(folder.resolve("0123456789.cubin")), StandardCharsets.ISO_8859_1);
        assertThat(all.substring(32)).startsWith(MAKER + "\n");
    }

    @Test
    void aDamagedFileIsNotTaken() throws IOException {
        cache().keep("0123456789", MAKER, "source", CUBIN);
        Path file = folder.resolve("0123456789.cubin");
        byte[] whole = Files.readAllBytes(file);
        for (int at = 0; at < whole.length; at++) {
            byte[] damaged = whole.clone();
            damaged[at] = (byte) (damaged[at] ^ 1);
            Files.write(file, damaged);
            assertThat(cache().find("0123456789", MAKER)).as("byte %d", at).isEmpty();
        }
        Files.write(file, Arrays.copyOf(whole, whole.length - 1));
        assertThat(cache().find("0123456789", MAKER)).isEmpty();
    }

    /** Real versions begin with 11 or more. */
    @Test
    @Tag("cuda")
    @Tag("emulator")
    void theEmulatorsCompilerHasAVersionThatNoRealOneHas() {
        Emulator.require();
        assertThat(CudaLibraries.missing()).isEmpty();
        assertThat(Compiler.version()).startsWith("0.");
    }
}
