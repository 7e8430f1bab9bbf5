package dev.rebias.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;

import ai.onnx.proto.OnnxMl.TensorProto;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rebias.model.OnnxModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code --adjust weights} from the command line, on the bundled example. */
final class AdjustedWeightsTest {
    private static final Path EXAMPLE = Path.of("examples/fashion");
    private static final int LARGEST_OF_THREE_BITS = 3;

    @TempDir
    Path folder;

    private String run(int exitCode, String... more) {
        List<String> arguments = new ArrayList<>(List.of(
                "correct",
                "--float",
                EXAMPLE.resolve("float.onnx").toString(),
                "--quantized",
                EXAMPLE.resolve("w3a8.onnx").toString(),
                "--samples",
                EXAMPLE.resolve("calibration.npz").toString(),
                "--scale=255",
                "--mean=0.2860",
                "--std=0.3530",
                "--limit=80",
                "--device=cpu"));
        arguments.addAll(List.of(more));
        return said(exitCode, arguments);
    }

    private static String said(int exitCode, List<String> arguments) {
        CommandLineRun.Captured run = CommandLineRun.captured(arguments.toArray(String[]::new));
        assertThat(run.exitCode()).as(run::said).isEqualTo(exitCode);
        return run.said();
    }

    private JsonNode corrected(String name, String... more) throws IOException {
        List<String> arguments = new ArrayList<>(List.of(more));
        Path report = folder.resolve(name + ".json");
        arguments.addAll(List.of("--output", folder.resolve(name + ".onnx").toString(), "--report", report.toString()));
        run(0, arguments.toArray(String[]::new));
        return new ObjectMapper().readTree(report.toFile());
    }

    @ParameterizedTest
    @ValueSource(strings = {"layer", "network"})
    void errorsAreSmallerThanWithBiasesAloneAndTheFileIsVerified(String reference) throws IOException {
        JsonNode weights = corrected("weights", "--reference", reference, "--adjust", "weights", "--verify");
        JsonNode biases = corrected("biases", "--reference", reference, "--holdout", "0.2");
        assertThat(weights.at("/verification/passed").asBoolean()).isTrue();
        assertThat(weights.at("/provenance/adjust").asText()).isEqualTo("weights");
        assertThat(weights.at("/outcome/outputs/0/rmsErrorAfter").asDouble())
                .isLessThan(biases.at("/outcome/outputs/0/rmsErrorAfter").asDouble());
        int moved = 0;
        for (JsonNode layer : weights.path("layers")) {
            if (layer.path("weightsKept").isNull()) {
                assertThat(layer.path("weightsMoved").asDouble()).isPositive();
                assertThat(layer.path("mseAfter").asDouble())
                        .isLessThan(layer.path("mseWithBias").asDouble());
                assertThat(layer.path("mseWithBias").asDouble())
                        .isLessThanOrEqualTo(layer.path("mseBefore").asDouble() * (1 + 1e-6));
                assertThat(layer.path("heldOutMseWithWeights").asDouble())
                        .isLessThan(layer.path("heldOutMseWithBias").asDouble());
                // The same weights and the same bias, told once from what they were chosen by and once in the end.
                double chosen = layer.path("heldOutMseWithWeights").asDouble();
                assertThat(layer.path("heldOutMseAfter").asDouble()).isCloseTo(chosen, withinPercentage(0.01));
                moved++;
            }
        }
        assertThat(moved).isGreaterThan(10);
    }

    @Test
    void onlyWeightsWithinTheirRangeAndBiasesChangeAndUndoBringsThemBack() throws IOException {
        corrected("weights", "--reference", "layer", "--adjust", "weights");
        OnnxModel before = OnnxModel.read(EXAMPLE.resolve("w3a8.onnx"));
        OnnxModel after = OnnxModel.read(folder.resolve("weights.onnx"));
        assertThat(after.proto().getGraph().getNodeList())
                .isEqualTo(before.proto().getGraph().getNodeList());
        int integers = 0;
        for (int i = 0; i < before.proto().getGraph().getInitializerCount(); i++) {
            TensorProto old = before.proto().getGraph().getInitializer(i);
            TensorProto changed = after.proto().getGraph().getInitializer(i);
            assertThat(changed.getDimsList()).isEqualTo(old.getDimsList());
            if (old.equals(changed)) {
                continue;
            }
            if (old.getDataType() == TensorProto.DataType.INT8.getNumber()) {
                integers++;
                for (byte b : changed.getRawData().toByteArray()) {
                    assertThat((int) b).isBetween(-LARGEST_OF_THREE_BITS, LARGEST_OF_THREE_BITS);
                }
            } else {
                assertThat(old.getDataType()).isEqualTo(TensorProto.DataType.FLOAT.getNumber());
                assertThat(old.getDimsCount()).isEqualTo(1);
            }
        }
        assertThat(integers).isGreaterThan(10);
        Path undone = folder.resolve("undone.onnx");
        said(0, List.of("undo", folder.resolve("weights.onnx").toString(), "--output", undone.toString()));
        assertThat(Files.readAllBytes(undone)).isEqualTo(Files.readAllBytes(EXAMPLE.resolve("w3a8.onnx")));
    }

    @Test
    void whatOnlyBiasesHaveIsRefusedWithWeights() {
        String out = folder.resolve("c.onnx").toString();
        assertThat(run(2, "--output", out, "--adjust=weights", "--shrink")).contains("--adjust weights");
        assertThat(run(2, "--output", out, "--weight-bits=4")).contains("--adjust weights");
        assertThat(run(2, "--output", out, "--adjust=weights", "--weight-bits=1"))
                .contains("1 bits");
    }
}
