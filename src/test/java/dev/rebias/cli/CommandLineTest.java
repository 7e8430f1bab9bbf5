package dev.rebias.cli;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.StringStringEntryProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.protobuf.ByteString;
import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.golden.ReferencePair;
import dev.rebias.model.ModelFile;
import dev.rebias.model.OnnxModel;
import dev.rebias.samples.Samples;
import dev.rebias.verify.Verification;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The commands as a user types them. */
final class CommandLineTest {
    @TempDir
    Path folder;

    private static String run(int exitCode, String... arguments) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        PrintStream realOut = System.out;
        System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
        try {
            assertThat(Main.run(arguments)).isEqualTo(exitCode);
        } finally {
            System.setOut(realOut);
        }
        return out.toString(StandardCharsets.UTF_8);
    }

    private String[] correct(Path quantized, String... more) {
        List<String> arguments = new ArrayList<>(List.of(
                "correct",
                "--float",
                "examples/fashion/float.onnx",
                "--quantized",
                quantized.toString(),
                "--samples",
                "examples/fashion/calibration.npz",
                "--scale",
                "255",
                "--mean",
                "0.2860",
                "--std",
                "0.3530",
                "--limit",
                "16",
                "--output",
                folder.resolve("c.onnx").toString()));
        arguments.addAll(List.of(more));
        return arguments.toArray(String[]::new);
    }

    /** Only the command that comes first is made; behind an option all are. */
    @Test
    void aCommandIsTheSameAloneAndBesideTheOthers() {
        List<String> names = run(0, "--help")
                .lines()
                .dropWhile(line -> !line.equals("Commands:"))
                .filter(line -> line.matches(" {2}[a-z].*"))
                .map(line -> line.strip().replaceAll(" .*", ""))
                .toList();
        assertThat(names).hasSize(12);
        for (String name : names) {
            CommandLineRun.Captured alone = CommandLineRun.captured(name, "--help");
            assertThat(alone.exitCode()).as(alone.said()).isZero();
            assertThat(alone.out()).contains("Usage: rebias " + name);
            assertThat(CommandLineRun.captured("--verbose", name, "--help")).isEqualTo(alone);
            CommandLineRun.Captured wrong = CommandLineRun.captured(name, "--verbose", "--no-such-option");
            assertThat(wrong.exitCode()).isEqualTo(2);
            assertThat(wrong.err()).contains("(see 'rebias " + name + " --help')");
            assertThat(CommandLineRun.captured("--verbose", name, "--no-such-option"))
                    .isEqualTo(wrong);
        }
    }

    @Test
    void correctWritesTheModelTheReportAndWhatItDid() throws IOException {
        Path report = folder.resolve("r.json");
        String said = run(
                0,
                correct(
                        Path.of("examples/fashion/w3a8.onnx"),
                        "--report",
                        report.toString(),
                        "--per-channel",
                        "--verify",
                        "--exclude",
                        "^/fc"));
        assertThat(said).contains("device: cpu", "16 of 17 layers corrected", "wrote ", "verified: 16 layers");
        assertThat(OnnxModel.read(folder.resolve("c.onnx")).proto().getGraph().getNodeCount())
                .isPositive();
        JsonNode json = new ObjectMapper().readTree(report.toFile());
        assertThat(json.get("reference").asText()).isEqualTo("layer");
        assertThat(json.get("samples").asInt()).isEqualTo(16);
        assertThat(json.get("device").get("emulated").asBoolean()).isFalse();
        assertThat(json.get("layers")).hasSize(17);
        JsonNode first = json.get("layers").get(0);
        assertThat(first.get("status").asText()).isEqualTo("corrected");
        assertThat(first.get("delta")).hasSize(first.get("channels").asInt());
        assertThat(first.get("standardError")).hasSize(first.get("channels").asInt());
        assertThat(first.get("mseAfter").asDouble())
                .isLessThanOrEqualTo(first.get("mseBefore").asDouble());
        JsonNode last = json.get("layers").get(16);
        assertThat(last.get("status").asText()).isEqualTo("skipped");
        assertThat(last.get("reason").asText()).isNotEmpty();
        assertThat(last.get("delta").isNull()).isTrue();
        assertThat(json.get("timings").get("sweep, reference layer").asDouble()).isPositive();
        assertThat(json.get("memory").get("peakDeviceBytes").asLong()).isPositive();
    }

    @Test
    void quietPrintsNothing() {
        assertThat(run(0, correct(Path.of("examples/fashion/w3a8.onnx"), "--quiet")))
                .isEmpty();
    }

    @Test
    void inspectTellsWhatWouldBeCorrectedAndWhy() {
        String said = run(
                0,
                "inspect",
                "--float",
                "examples/ocr-orientation/float.onnx",
                "--quantized",
                "examples/ocr-orientation/w4a8.onnx",
                "--exclude",
                "MatMul");
        assertThat(said)
                .contains(
                        "input x FLOAT [N,3,?,?]",
                        "bias none",
                        "left out by the selection",
                        "53 of 54 layers would be corrected");
    }

    @Test
    void inspectPlansASweep() {
        String said = run(
                0,
                "inspect",
                "--float",
                "examples/fashion/float.onnx",
                "--quantized",
                "examples/fashion/w3a8.onnx",
                "--device",
                "cpu",
                "--plan",
                "512");
        assertThat(said)
                .containsPattern("plan for 512 samples, reference layer, in batches of \\d+")
                .contains("segment 17: ", "barrier for /fc/Gemm")
                .containsPattern("predicted: at most [2-6]\\d\\.\\d MB");
    }

    @Test
    void samplesWithoutAPlanAreAMistake() {
        run(
                2,
                "inspect",
                "--float",
                "examples/fashion/float.onnx",
                "--quantized",
                "examples/fashion/w3a8.onnx",
                "--samples",
                "examples/fashion/calibration.npz");
    }

    private static Verification verify(
            BiasCorrection correction, CorrectionResult result, ModelProto written, Samples samples) {
        return Verification.of(
                correction, result, Optional.of(result.model()), OnnxModel.of("written", written), samples, 64);
    }

    /** The running model shows a missing correction; the file itself, read again, one step in one channel. */
    @Test
    void verificationFailsWhereTheFileLacksCorrections() {
        for (ReferencePair pair : List.of(ReferencePair.FASHION_W3A8, ReferencePair.FASHION_W8A8_INT32_BIAS)) {
            BiasCorrection correction = pair.correction();
            try (Samples all = pair.samples()) {
                Samples samples = all.limit(20);
                CorrectionResult result = correction.correct(samples, CorrectionOptions.defaults());
                ModelProto written = result.model().proto();
                Verification right = verify(correction, result, written, samples);
                assertThat(right.passed()).as("%s", right).isTrue();
                assertThat(right.layers()).isEqualTo(17);
                System.out.println(pair + ": " + right);
                assertThat(verify(correction, result, pair.quantizedModel().proto(), samples)
                                .worst())
                        .isGreaterThan(100);
                ModelProto old = pair.quantizedModel().proto();
                for (int i = 0; i < written.getGraph().getInitializerCount(); i++) {
                    if (written.getGraph()
                            .getInitializer(i)
                            .equals(old.getGraph().getInitializer(i))) {
                        continue;
                    }
                    ModelProto.Builder without = written.toBuilder();
                    without.getGraphBuilder().setInitializer(i, old.getGraph().getInitializer(i));
                    Verification one = verify(correction, result, without.build(), samples);
                    assertThat(one.worst()).isGreaterThan(1);
                    assertThat(one.difference()).isPresent();
                    ModelProto.Builder step = written.toBuilder();
                    TensorProto.Builder bias = step.getGraphBuilder().getInitializerBuilder(i);
                    byte[] raw = bias.getRawData().toByteArray();
                    raw[0] ^= 1;
                    bias.setRawData(ByteString.copyFrom(raw));
                    Verification moved = verify(correction, result, step.build(), samples);
                    assertThat(moved.passed()).isFalse();
                    assertThat(moved.difference().orElseThrow()).contains("'" + bias.getName() + "'");
                    break;
                }
            }
        }
    }

    @Test
    void externalDataIsReadAndGoesWithTheModelToAnotherFolder() throws IOException {
        Path source = Files.createDirectory(folder.resolve("source"));
        ModelProto.Builder model = ReferencePair.FASHION_W3A8.quantizedModel().proto().toBuilder();
        ByteArrayOutputStream data = new ByteArrayOutputStream();
        for (TensorProto.Builder t : model.getGraphBuilder().getInitializerBuilderList()) {
            if (t.getRawData().size() > 64) {
                t.setDataLocation(TensorProto.DataLocation.EXTERNAL)
                        .addExternalData(StringStringEntryProto.newBuilder()
                                .setKey("location")
                                .setValue("weights.bin"))
                        .addExternalData(StringStringEntryProto.newBuilder()
                                .setKey("offset")
                                .setValue(Integer.toString(data.size())))
                        .addExternalData(StringStringEntryProto.newBuilder()
                                .setKey("length")
                                .setValue(Integer.toString(t.getRawData().size())));
                data.write(t.getRawData().toByteArray());
                t.clearRawData();
            }
        }
        Files.write(source.resolve("weights.bin"), data.toByteArray());
        Files.write(source.resolve("q.onnx"), model.build().toByteArray());
        String said = run(0, correct(source.resolve("q.onnx"), "--verify"));
        assertThat(said).contains("17 of 17 layers corrected", "verified: 17 layers");
        assertThat(folder.resolve("weights.bin")).doesNotExist();
        assertThat(folder.resolve("c.onnx.data")).hasBinaryContent(data.toByteArray());

        OnnxModel external = OnnxModel.read(source.resolve("q.onnx"));
        BiasCorrection plain = ReferencePair.FASHION_W3A8.correction();
        BiasCorrection withData = BiasCorrection.of(OnnxModel.read(ReferencePair.FASHION_W3A8.floatFile()), external);
        try (Samples all = ReferencePair.FASHION_W3A8.samples()) {
            Samples samples = all.limit(16);
            CorrectionResult a = plain.correct(samples, CorrectionOptions.defaults());
            CorrectionResult b = withData.correct(samples, CorrectionOptions.defaults());
            for (int i = 0; i < a.layers().size(); i++) {
                assertThat(b.layers().get(i).moments().orElseThrow().delta())
                        .isEqualTo(a.layers().get(i).moments().orElseThrow().delta());
            }
            // In the same folder too the written model has data of its own.
            ModelFile.check(external, source.resolve("c.onnx"), List.of(), false)
                    .write(b.model());
        }
        assertThat(source.resolve("weights.bin")).hasBinaryContent(data.toByteArray());
        assertThat(source.resolve("c.onnx.data")).hasBinaryContent(data.toByteArray());
    }
}
