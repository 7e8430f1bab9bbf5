package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What {@code rebias gpu-check} does on a card that does not do all its work. */
@Tag("cuda")
@Tag("emulator")
final class GpuCheckTest {
    @TempDir
    private Path folder;

    private CardProcess check(Map<String, String> environment) throws Exception {
        Path emulator = CardProcess.emulator();
        return CardProcess.run(
                folder,
                environment,
                List.of("-Drebias.cuda.libraries=" + emulator),
                "gpu-check",
                "--only=environment,kernels",
                "--budget=200s",
                "--out=" + folder.resolve("out"));
    }

    @Test
    void aLibraryThatRefusesACallEndsNoOtherStep() throws Exception {
        CardProcess run =
                check(Map.of("LD_LIBRARY_PATH", CardProcess.emulator().toString(), "EMULATOR_FAIL", "cudnnCreate:1"));
        assertThat(run.exitCode()).as(run.output()).isEqualTo(5);
        assertThat(run.output())
                .contains("environment  FAILED", "the card does not do its work: ", "cudnnCreate")
                .contains("kernels      passed")
                .contains("verdict: WRONG");
        assertThat(folder.resolve("out/environment.json")).content().contains("libcudnn_cnn.so.9");
    }

    @Test
    void withoutACardNothingElseIsTried() throws Exception {
        CardProcess run = check(Map.of("LD_LIBRARY_PATH", CardProcess.emulator().toString(), "EMULATOR_DEVICES", "0"));
        assertThat(run.exitCode()).as(run.output()).isEqualTo(3);
        assertThat(run.output())
                .contains("no other step can be run without a card")
                .doesNotContain("kernels  ");
        assertThat(Files.exists(folder.resolve("out/kernels.json"))).isFalse();
    }
}
