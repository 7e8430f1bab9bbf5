package dev.rebias.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rebias.device.CleanEmulator;
import dev.rebias.device.Emulator;
import dev.rebias.oracle.ToyFiles;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** {@code --device} takes several cards for one model. */
@Tag("cuda")
@Tag("emulator")
@ExtendWith(CleanEmulator.class)
final class SeveralCardsTest {
    @TempDir
    Path folder;

    @BeforeEach
    void cards() throws IOException {
        Emulator.require().devices(3);
        ToyFiles.write(folder);
    }

    private CommandLineRun.Captured run(String command, String... more) {
        return CommandLineRun.captured(ToyFiles.command(command, folder, more));
    }

    @Test
    void oneModelIsCorrectedOnAllCards() throws IOException {
        CommandLineRun.Captured one =
                run("correct", "--output=" + folder.resolve("one.onnx"), "--device=cuda:2", "--force");
        assertThat(one.exitCode()).as(one::said).isZero();
        CommandLineRun.Captured all = run(
                "correct",
                "--output=" + folder.resolve("all.onnx"),
                "--device=cuda:all",
                "--report=" + folder.resolve("r.json"),
                "--report=" + folder.resolve("r.html"),
                "--force");
        assertThat(all.exitCode()).as(all::said).isZero();
        assertThat(all.said())
                .contains("as asked for, and 2 more")
                .contains("divided among 3 devices: 1 + 1 + 1 samples; the first gave the others");
        assertThat(folder.resolve("r.html")).content().contains("divided among 3 devices");
        JsonNode sharing =
                new ObjectMapper().readTree(folder.resolve("r.json").toFile()).path("sharing");
        assertThat(sharing.path("parts")).hasSize(3).allSatisfy(part -> {
            assertThat(part.path("correcting").asInt()).isEqualTo(1);
            assertThat(part.path("heldOut").asInt()).isZero();
            assertThat(part.path("kind").asText()).isEqualTo("cuda");
            assertThat(part.path("emulated").asBoolean()).isTrue();
        });
        assertThat(sharing.path("rounds").asInt()).isGreaterThan(4);
        assertThat(sharing.path("bytes").asInt()).isGreaterThan(500);
        assertThat(folder.resolve("all.onnx")).hasSameBinaryContentAs(folder.resolve("one.onnx"));
    }

    @Test
    void otherCommandsTakeSeveralCardsToo() {
        assertThat(run("measure", "--device=cuda:0,1").said()).contains("divided among 2 devices: 1 + 2 samples");
        assertThat(run("inspect", "--device=cuda:all", "--plan=7").said())
                .contains("plan for 7 samples (3 on each of 3 devices)")
                .contains("on each device");
    }

    @Test
    void whatCannotBeDividedIsRefused() {
        String output = "--output=" + folder.resolve("c.onnx");
        CommandLineRun.Captured weights = run("correct", output, "--device=cuda:0,1", "--adjust=weights");
        assertThat(weights.exitCode()).isEqualTo(2);
        assertThat(weights.said()).contains("--adjust biases, or use one device");
        CommandLineRun.Captured twice = run("correct", output, "--device=cuda:1,1");
        assertThat(twice.exitCode()).isEqualTo(2);
        assertThat(twice.said()).contains("names a card twice");
        CommandLineRun.Captured missing = run("correct", output, "--device=cuda:1,3");
        assertThat(missing.exitCode()).isEqualTo(3);
        assertThat(missing.said()).contains("there is no GPU 3: the driver knows 3");
        Emulator.require().devices(4);
        CommandLineRun.Captured many = run("correct", output, "--device=cuda:all");
        assertThat(many.exitCode()).isEqualTo(4);
        assertThat(many.said()).contains("3 samples cannot be divided into 4 parts");
    }
}
