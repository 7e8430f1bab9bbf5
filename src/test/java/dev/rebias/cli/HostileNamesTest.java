package dev.rebias.cli;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rebias.oracle.ToyFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Names in models are somebody else's text: whatever they hold, what people read stays what rebias says, and what
 * programs read stays exact.
 */
final class HostileNamesTest {
    private static final String FORGED = "forged: all is well";

    @TempDir
    Path folder;

    @BeforeEach
    void writeFiles() throws IOException {
        ToyFiles.write(folder);
    }

    static Stream<String> decorations() {
        return Stream.of(
                "\n" + FORGED,
                "\r" + FORGED,
                "\u0085" + FORGED,
                "\u2028" + FORGED,
                "\u001b[2J\u001b[H",
                "\u009b31m",
                "\u001b]0;title\u0007",
                "\u202e\u2066",
                "\b\b\b\b",
                "%s%n%d",
                "\u0000",
                "' is corrected\nrebias: '",
                " ".repeat(20_000),
                "x".repeat(20_000));
    }

    private void rename(String file, UnaryOperator<String> change) throws IOException {
        ModelProto.Builder model = ModelProto.parseFrom(Files.readAllBytes(folder.resolve(file))).toBuilder();
        GraphProto.Builder graph = model.getGraphBuilder();
        graph.getInitializerBuilderList().forEach(t -> t.setName(change.apply(t.getName())));
        for (NodeProto.Builder node : graph.getNodeBuilderList()) {
            node.setName(change.apply(node.getName()));
            for (int i = 0; i < node.getInputCount(); i++) {
                node.setInput(i, node.getInput(i).isEmpty() ? "" : change.apply(node.getInput(i)));
            }
            for (int i = 0; i < node.getOutputCount(); i++) {
                node.setOutput(i, change.apply(node.getOutput(i)));
            }
        }
        for (ValueInfoProto.Builder value : graph.getInputBuilderList()) {
            value.setName(change.apply(value.getName()));
        }
        graph.getOutputBuilderList().forEach(v -> v.setName(change.apply(v.getName())));
        Files.write(folder.resolve(file), model.build().toByteArray());
    }

    private String[] command(String name, String... more) {
        List<String> arguments = new ArrayList<>(List.of(
                name,
                "--float",
                folder.resolve("float.onnx").toString(),
                "--quantized",
                folder.resolve("quantized.onnx").toString()));
        arguments.addAll(List.of(more));
        return arguments.toArray(String[]::new);
    }

    private static void assertPlain(String text) {
        assertThat(text.codePoints()
                        .filter(c -> c != '\n')
                        .noneMatch(c -> Character.isISOControl(c)
                                || Character.getType(c) == Character.FORMAT
                                || Character.getType(c) == Character.LINE_SEPARATOR))
                .as(text)
                .isTrue();
        assertThat(text.lines()).noneMatch(line -> line.startsWith(FORGED) || line.equals("rebias: '"));
        assertThat(text.lines()).allMatch(line -> line.length() < 700);
    }

    @ParameterizedTest(name = "{index}")
    @MethodSource("decorations")
    void namesForgeNothing(String decoration) throws IOException {
        for (String file : List.of("float.onnx", "quantized.onnx")) {
            rename(file, name -> name + decoration);
        }
        CommandLineRun.Captured inspected = CommandLineRun.captured(command("inspect"));
        // ONNX Runtime, which folds constants, takes no name with a zero in it.
        assertThat(inspected.exitCode()).as(inspected.err()).isEqualTo(decoration.equals("\u0000") ? 4 : 0);
        assertPlain(inspected.out());
        assertPlain(inspected.err());
        assertThat(inspected.out().lines()).hasSize(inspected.exitCode() == 0 ? 6 : 0);

        Path report = folder.resolve("r.json");
        CommandLineRun.Captured corrected = CommandLineRun.captured(command(
                "correct",
                "--samples",
                folder.resolve("samples.npy").toString(),
                "--device",
                "cpu",
                "--verify",
                "--output",
                folder.resolve("c.onnx").toString(),
                "--report",
                report.toString()));
        assertPlain(corrected.out());
        assertPlain(corrected.err());
        assertThat(corrected.exitCode()).as(corrected.err()).isIn(0, 4);
        if (corrected.exitCode() == 0) {
            JsonNode json = new ObjectMapper().readTree(report.toFile());
            assertThat(json.get("layers").get(0).get("output").asText()).isEqualTo("a" + decoration);
        } else {
            assertThat(corrected.err().lines()).hasSize(1);
        }
    }

    @ParameterizedTest(name = "{index}")
    @MethodSource("decorations")
    void whatIsRefusedIsRefusedInOneLine(String decoration) throws IOException {
        ModelProto.Builder model =
                ModelProto.parseFrom(Files.readAllBytes(folder.resolve("quantized.onnx"))).toBuilder();
        model.getGraphBuilder()
                .getNodeBuilder(0)
                .setOpType("Blorp" + decoration)
                .setName("n" + decoration);
        Files.write(folder.resolve("quantized.onnx"), model.build().toByteArray());
        CommandLineRun.Captured refused = CommandLineRun.captured(command(
                "correct",
                "--device",
                "cpu",
                "--samples",
                folder.resolve("samples.npy").toString(),
                "--output",
                folder.resolve("c.onnx").toString()));
        assertThat(refused.exitCode()).isEqualTo(4);
        assertPlain(refused.err());
        assertThat(refused.err().lines()).as(refused.err()).hasSize(1);
        assertThat(refused.err()).startsWith("rebias: ");
    }

    @ParameterizedTest(name = "{index}")
    @MethodSource("decorations")
    void pathsForgeNothing(String decoration) {
        if (decoration.indexOf('\0') >= 0) {
            return; // no argument of a process holds one
        }
        for (String option : List.of("--float", "--samples", "--output", "--report", "--device", "--include")) {
            String[] arguments = command(
                    "correct",
                    "--samples",
                    folder.resolve("samples.npy").toString(),
                    "--output",
                    folder.resolve("c.onnx").toString());
            List<String> all = new ArrayList<>(List.of(arguments));
            all.add(option);
            all.add("/nowhere/" + decoration + "[");
            CommandLineRun.Captured refused = CommandLineRun.captured(all.toArray(String[]::new));
            assertThat(refused.exitCode()).as(option + refused.err()).isIn(1, 2);
            assertPlain(refused.err());
            assertThat(refused.err().lines()).as(refused.err()).hasSize(1);
        }
    }

    @Test
    void longNamesOfWhiteSpaceTakeNoTime() throws IOException {
        rename("float.onnx", name -> name + " ".repeat(400_000));
        rename("quantized.onnx", name -> name.equals("x") ? name : name + " ".repeat(400_000));
        Assertions.assertTimeoutPreemptively(Duration.ofSeconds(20), () -> {
            CommandLineRun.Captured inspected = CommandLineRun.captured(command("inspect"));
            assertPlain(inspected.out());
            assertPlain(inspected.err());
        });
    }
}
