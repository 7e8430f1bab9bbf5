package dev.rebias.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.device.Emulator;
import dev.rebias.device.cuda.CudaLibraries;
import dev.rebias.oracle.ToyFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is said about devices: with CUDA's libraries (a GPU's or the emulator's), and without them. */
@Tag("cuda")
final class DeviceChoiceTest {
    private static final boolean CUDA = CudaLibraries.missing().isEmpty();

    @TempDir
    Path folder;

    private CommandLineRun.Captured correct(String... more) throws IOException {
        ToyFiles.write(folder);
        List<String> arguments = new ArrayList<>(
                List.of("--output", folder.resolve("corrected.onnx").toString()));
        arguments.addAll(List.of(more));
        return CommandLineRun.captured(ToyFiles.command("correct", folder, arguments.toArray(String[]::new)));
    }

    @Test
    void autoSaysInOneLineWhatItChoseAndWhy() throws IOException {
        CommandLineRun.Captured outcome =
                correct("--report", folder.resolve("r.json").toString());
        assertThat(outcome.exitCode()).isZero();
        String first = outcome.out().lines().findFirst().orElseThrow();
        if (CUDA) {
            assertThat(first).startsWith("device: cuda:0 (").endsWith("), the first GPU of this machine");
        } else {
            assertThat(first)
                    .startsWith("device: cpu: no GPU can be used here, ")
                    .contains("no NVIDIA driver was found");
        }
        String report = Files.readString(folder.resolve("r.json"));
        assertThat(report).contains("\"kind\" : \"" + (CUDA ? "cuda" : "cpu") + "\"");
        boolean emulated = CUDA && Emulator.present();
        assertThat(report).contains("\"emulated\" : " + emulated);
    }

    @Test
    void aNamedDeviceIsNeverReplacedByAnother() throws IOException {
        CommandLineRun.Captured outcome = correct("--device", CUDA ? "cuda:99" : "cuda");
        assertThat(outcome.exitCode()).isEqualTo(3);
        assertThat(outcome.err().strip().lines()).hasSize(1);
        assertThat(outcome.err())
                .contains(
                        CUDA
                                ? "there is no GPU 99"
                                : "no GPU can be used: "
                                        + CudaLibraries.missing().orElseThrow());
        assertThat(folder.resolve("corrected.onnx")).doesNotExist();
    }

    @Test
    void theDoctorSaysWhatIsThereAndCuresWhatIsNot() {
        CommandLineRun.Captured outcome = CommandLineRun.captured("doctor");
        assertThat(outcome.exitCode()).isZero();
        assertThat(outcome.out()).contains("cpu   ready: ");
        for (CudaLibraries.Library library : CudaLibraries.all()) {
            assertThat(outcome.out()).contains(library.name()).contains(library.file());
            if (!library.found()) {
                assertThat(outcome.out())
                        .contains("not found: " + library.problem().orElseThrow())
                        .contains("-> " + library.remedy());
            }
        }
        CommandLineRun.Captured deep = CommandLineRun.captured("doctor", "--deep");
        assertThat(deep.exitCode()).isEqualTo(CUDA ? 0 : 3);
        if (CUDA) {
            assertThat(deep.out())
                    .contains("convolution 3x3, depthwise", "error sums of", "class sums of", "% of the bound")
                    .doesNotContain("FAILED");
        }
    }
}
