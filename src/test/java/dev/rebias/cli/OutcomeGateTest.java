package dev.rebias.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rebias.oracle.ToyFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A correction that makes the network worse is not published in silence. */
final class OutcomeGateTest {
    @TempDir
    Path folder;

    @BeforeEach
    void writePair() throws IOException {
        ToyFiles.writeCompensating(folder);
    }

    private String run(int exitCode, String... more) {
        List<String> arguments = new ArrayList<>(List.of(
                "--device",
                "cpu",
                "--output",
                folder.resolve("c.onnx").toString(),
                "--report",
                folder.resolve("r.json").toString()));
        arguments.addAll(List.of(more));
        CommandLineRun.Captured run =
                CommandLineRun.captured(ToyFiles.command("correct", folder, arguments.toArray(String[]::new)));
        assertThat(run.exitCode()).as(run::said).isEqualTo(exitCode);
        return run.said();
    }

    private JsonNode outcome() throws IOException {
        return new ObjectMapper().readTree(folder.resolve("r.json").toFile()).get("outcome");
    }

    @Test
    void whatMakesTheNetworkWorseIsNotWritten() throws IOException {
        String said = run(5, "--include", "^a_node$");
        assertThat(said).contains("is not written", "further from the float network", "y: SQNR", "--force", "--scale");
        assertThat(folder.resolve("c.onnx")).doesNotExist();
        assertThat(outcome().get("worse").asBoolean()).isTrue();
        assertThat(outcome().get("outputs").get(0).get("rmsErrorAfter").asDouble())
                .isGreaterThan(
                        outcome().get("outputs").get(0).get("rmsErrorBefore").asDouble());
    }

    @Test
    void isWrittenWithAWarningWhenForced() throws IOException {
        String said = run(0, "--include", "^a_node$", "--force");
        assertThat(said).contains("warning: corrected, the network is further", "wrote ");
        assertThat(folder.resolve("c.onnx")).exists();
    }

    @Test
    void isNotLookedForWhereNobodyWantsIt() throws IOException {
        String said = run(0, "--include", "^a_node$", "--no-outcome");
        assertThat(said).doesNotContain("outcome: ").contains("not known whether it is better");
        assertThat(outcome().isNull()).isTrue();
        assertThat(Files.exists(folder.resolve("c.onnx"))).isTrue();
    }

    @Test
    void whatMakesItBetterIsTheHeadline() throws IOException {
        String said = run(0);
        assertThat(said).contains("outcome: the network's outputs", "16 of the samples", "  y: SQNR ");
        assertThat(said.indexOf("outcome:")).isLessThan(said.indexOf("layers corrected"));
        assertThat(outcome().get("worse").asBoolean()).isFalse();
        assertThat(outcome().get("samples").asInt()).isEqualTo(16);
    }
}
