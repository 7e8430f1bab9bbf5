package dev.rebias.cli;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnx.proto.OnnxMl.ModelProto;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rebias.model.OnnxModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a user is told of a correction's worth and of the samples, and what is refused; from the command line. */
final class EvidenceCommandsTest {
    private static final String[] NORMALIZATION = {"--scale", "255", "--mean", "0.2860", "--std", "0.3530"};

    @TempDir
    Path folder;

    private Path corrected;
    private Path report;

    @BeforeEach
    void name() {
        corrected = folder.resolve("c.onnx");
        report = folder.resolve("r.json");
    }

    private static String run(int exitCode, String... arguments) {
        CommandLineRun.Captured run = CommandLineRun.captured(arguments);
        assertThat(run.exitCode()).as(run::said).isEqualTo(exitCode);
        return run.said();
    }

    private String correct(int exitCode, Path quantized, String... more) {
        List<String> arguments =
                new ArrayList<>(List.of("--output", corrected.toString(), "--report", report.toString()));
        arguments.addAll(List.of(more));
        return run(exitCode, command("correct", quantized, arguments.toArray(String[]::new)));
    }

    /** A command on the bundled example. */
    private static String[] command(String name, Path quantized, String... more) {
        List<String> arguments = new ArrayList<>(List.of(
                name,
                "--float",
                "examples/fashion/float.onnx",
                "--quantized",
                quantized.toString(),
                "--samples",
                "examples/fashion/calibration.npz",
                "--device",
                "cpu"));
        arguments.addAll(List.of(more));
        return arguments.toArray(String[]::new);
    }

    private static String measure(int exitCode, String... more) {
        String[] all = Arrays.copyOf(NORMALIZATION, NORMALIZATION.length + more.length);
        System.arraycopy(more, 0, all, NORMALIZATION.length, more.length);
        return run(exitCode, command("measure", Path.of("examples/fashion/w3a8.onnx"), all));
    }

    private String correct(int exitCode, String... more) {
        String[] all = Arrays.copyOf(NORMALIZATION, NORMALIZATION.length + more.length);
        System.arraycopy(more, 0, all, NORMALIZATION.length, more.length);
        return correct(exitCode, Path.of("examples/fashion/w3a8.onnx"), all);
    }

    private JsonNode read() throws IOException {
        return new ObjectMapper().readTree(report.toFile());
    }

    @Test
    void bothReferencesAreToldOfAndTheBetterIsWritten() throws IOException {
        String said = correct(0, "--reference", "auto", "--limit", "64", "--verify");
        assertThat(said)
                .contains(
                        "verdict: better: ",
                        "13 held-out samples",
                        "and is kept",
                        "verified: 17 layers compared",
                        "wrote ");
        JsonNode json = read();
        assertThat(json.get("trials")).hasSize(2);
        assertThat(json.get("samplesUsed").get("heldOut").asInt()).isEqualTo(13);
        assertThat(json.get("verdict").get("kind").asText()).isEqualTo("better");
        assertThat(json.get("verification").get("passed").asBoolean()).isTrue();
        assertThat(json.get("options").get("--reference").asText()).isEqualTo("auto");
        assertThat(json.at("/options/--mean").asText()).isEqualTo("0.286");
        assertThat(json.at("/options/--adjust").asText()).isEqualTo("biases");
        assertThat(json.get("files")).hasSize(3);
        double total = 0;
        for (JsonNode phase : json.get("timings")) {
            total += phase.asDouble();
        }
        double whole = json.get("timings").get("totalSeconds").asDouble();
        assertThat(total - whole).isBetween(0.99 * whole, 1.01 * whole);
    }

    @Test
    void undoGivesTheOriginalBackAfterOneCorrectionAndAfterTwo() throws IOException {
        Path original = Path.of("examples/fashion/w3a8.onnx");
        correct(0, "--limit", "16");
        Path once = folder.resolve("once.onnx");
        Files.move(corrected, once);
        assertThat(run(
                        0,
                        "undo",
                        once.toString(),
                        "--output",
                        folder.resolve("q.onnx").toString()))
                .contains("undone: rebias ", "reference layer, 17 layers, 16 samples");
        ModelProto wanted = OnnxModel.read(original).proto();
        assertThat(OnnxModel.read(folder.resolve("q.onnx")).proto()).isEqualTo(wanted);
        String[] again = Arrays.copyOf(NORMALIZATION, NORMALIZATION.length + 5);
        System.arraycopy(
                new String[] {"--limit", "16", "--reference", "network", "--force"}, 0, again, NORMALIZATION.length, 5);
        assertThat(correct(0, once, again))
                .contains("was corrected before (rebias ", "'undo' brings the first ones back");
        run(
                0,
                "undo",
                corrected.toString(),
                "--output",
                folder.resolve("q2.onnx").toString());
        assertThat(OnnxModel.read(folder.resolve("q2.onnx")).proto()).isEqualTo(wanted);
        assertThat(run(0, "inspect", "--float", "examples/fashion/float.onnx", "--quantized", corrected.toString()))
                .contains("corrected before: rebias ", "reference network", "'rebias undo' brings the original back");
    }

    @Test
    void whatCannotBeUndoneSaysWhy() throws IOException {
        correct(0, "--limit", "16", "--no-undo");
        assertThat(run(
                        4,
                        "undo",
                        corrected.toString(),
                        "--output",
                        folder.resolve("q.onnx").toString()))
                .contains("made with --no-undo");
        Path bare = Files.move(corrected, folder.resolve("bare.onnx"));
        List<String> again = new ArrayList<>(List.of(NORMALIZATION));
        again.addAll(List.of("--limit", "16", "--force"));
        assertThat(correct(0, bare, again.toArray(String[]::new)))
                .contains("; that correction cannot be undone: '" + bare + "' holds nothing", "made with --no-undo")
                .doesNotContain("brings the first ones back");
        assertThat(run(
                        4,
                        "undo",
                        "examples/fashion/w3a8.onnx",
                        "--output",
                        folder.resolve("q.onnx").toString()))
                .contains("was not corrected by rebias");
        correct(0, "--limit", "16", "--force");
        OnnxModel written = OnnxModel.read(corrected);
        ModelProto.Builder changed = written.proto().toBuilder();
        changed.getGraphBuilder().getNodeBuilder(0).setDocString("another");
        Files.write(corrected, changed.build().toByteArray());
        assertThat(run(
                        4,
                        "undo",
                        corrected.toString(),
                        "--output",
                        folder.resolve("q.onnx").toString()))
                .contains("was changed since it was corrected");
        assertThat(folder.resolve("q.onnx")).doesNotExist();
    }

    /** A model that says this of its correction. */
    private Path saying(String text) throws IOException {
        Path file = folder.resolve("says.onnx");
        ModelProto.Builder model = OnnxModel.read(Path.of("examples/fashion/w3a8.onnx")).proto().toBuilder();
        model.addMetadataPropsBuilder().setKey("rebias").setValue(text);
        Files.write(file, model.build().toByteArray());
        return file;
    }

    @ParameterizedTest
    @ValueSource(strings = {"of somebody else", "{} {}", "[]", "{\"samples\":", ""})
    void whatNobodyCanReadOfAnEarlierCorrectionIsAWarning(String text) throws IOException {
        Path quantized = saying(text);
        String[] few = Arrays.copyOf(NORMALIZATION, NORMALIZATION.length + 1);
        few[NORMALIZATION.length] = "--limit=16";
        assertThat(correct(0, quantized, few)).contains("warning: what the metadata of", "cannot be read", "wrote ");
        assertThat(run(0, "inspect", "--float", "examples/fashion/float.onnx", "--quantized", quantized.toString()))
                .contains("corrected before: what the metadata of");
    }

    @Test
    void undoWritesNothingWhereItCannotReadWhatItUndoes() throws IOException {
        correct(0, "--limit", "16");
        ModelProto.Builder model = OnnxModel.read(corrected).proto().toBuilder();
        model.getMetadataPropsBuilderList().stream()
                .filter(e -> e.getKey().equals("rebias"))
                .forEach(e -> e.setValue("of somebody else"));
        Files.write(corrected, model.build().toByteArray());
        Path output = folder.resolve("q.onnx");
        assertThat(run(4, "undo", corrected.toString(), "--output", output.toString()))
                .contains("cannot be read");
        assertThat(output).doesNotExist();
    }

    @Test
    void fewerSamplesThanBeforeAreRefused() throws IOException {
        correct(0, "--limit", "64");
        Path once = folder.resolve("once.onnx");
        Files.move(corrected, once);
        Files.delete(report);
        List<String> again = new ArrayList<>(List.of(NORMALIZATION));
        again.addAll(List.of("--limit", "63"));
        assertThat(correct(5, once, again.toArray(String[]::new)))
                .contains(
                        "is not written: the quantised model was corrected before, from more samples",
                        "(64, and now 63)");
        assertThat(corrected).doesNotExist();
        assertThat(read().at("/verdict/kind").asText()).isEqualTo("missed");
        assertThat(read().at("/verdict/published").asBoolean()).isFalse();
        again.add("--force");
        correct(0, once, again.toArray(String[]::new));
        again.set(again.size() - 2, "64");
        again.addAll(List.of("--holdout", "0.25"));
        correct(0, once, again.toArray(String[]::new));
    }

    @Test
    void aScaleIsKeptAsItWasGiven() throws IOException {
        List<String> scaled = new ArrayList<>(List.of("--scale", "0.1", "--limit", "8", "--force"));
        correct(0, Path.of("examples/fashion/w3a8.onnx"), scaled.toArray(String[]::new));
        assertThat(read().at("/provenance/scale").asText()).isEqualTo("0.1");
    }

    @Test
    void equalRunsWriteEqualBytes() throws IOException {
        correct(0, "--limit", "16");
        byte[] first = Files.readAllBytes(corrected);
        correct(0, "--limit", "16", "--force", "--batch-size", "5", "--verify-samples", "all");
        assertThat(Files.readAllBytes(corrected)).isEqualTo(first);
    }

    @Test
    void aRequirementThatDoesNotHoldExitsWith5AndWritesNothing() throws IOException {
        assertThat(correct(5, "--limit", "200", "--require-agreement", "1"))
                .contains("is not written: --require-agreement 1 does not hold: ");
        assertThat(corrected).doesNotExist();
        assertThat(read().get("verdict").get("kind").asText()).isEqualTo("missed");
        assertThat(correct(5, "--limit", "16", "--require-sqnr-gain", "60", "--force"))
                .contains("--require-sqnr-gain 60 does not hold: ");
        assertThat(correct(5, "--limit", "16", "--require-sqnr-gain", "0", "--no-outcome", "--force"))
                .contains("not known: no output was compared");
        String said = correct(
                0,
                "--limit",
                "32",
                "--require-sqnr-gain",
                "0.1",
                "--require-agreement",
                "0.1",
                "--max-layer-mse-increase",
                "0",
                "--force");
        assertThat(said).contains("--max-layer-mse-increase 0 holds: ");
        assertThat(correct(2, "--require-agreement", "1.5", "--force")).contains("it is a share, from 0 to 1");
    }

    @Test
    void anExistingOutputIsSkippedWhereThatIsAskedFor() throws IOException {
        String[] job = {"--limit", "16", "--skip-existing"};
        assertThat(correct(0, job)).contains("wrote ");
        Files.delete(report);
        byte[] first = Files.readAllBytes(corrected);
        assertThat(correct(0, job)).contains("was made from equal files with equal options, and is left as it is");
        // Neither where it runs nor how fast decides about the result.
        assertThat(correct(0, "--limit", "16", "--skip-existing", "--batch-size", "4", "--per-channel"))
                .contains("is left as it is");
        assertThat(report).doesNotExist();
        for (String[] other : new String[][] {
            {"--limit", "17", "--skip-existing"},
            {"--limit", "16", "--skip-existing", "--reference", "network"},
            {"--limit", "16", "--skip-existing", "--require-agreement", "0.1"},
            {"--limit", "16", "--skip-existing", "--verify"},
            {"--limit", "16", "--skip-existing", "--include", ".*Conv"}
        }) {
            assertThat(correct(2, other)).contains("does not say that it was made with --skip-existing");
        }
        assertThat(correct(2, Path.of("examples/fashion/float.onnx"), NORMALIZATION[0], "255", "--skip-existing"))
                .contains("does not say");
        assertThat(correct(2, "--limit", "16")).contains("exists already");
        assertThat(Files.readAllBytes(corrected)).isEqualTo(first);
        Files.writeString(corrected, "mine");
        assertThat(correct(2, job)).contains("does not say");
        assertThat(Files.readString(corrected)).isEqualTo("mine");
        assertThat(correct(0, "--limit", "16", "--skip-existing", "--force")).contains("wrote ");
        assertThat(correct(0, "--limit", "16", "--skip-existing", "--force")).contains("is left as it is");
        assertThat(correct(0, job)).contains("is left as it is");
    }

    @Test
    void undoRefusesANameOfAnotherForm() throws IOException {
        correct(0, "--limit", "16");
        for (String name : new String[] {"q.h5", "q.hdf5", "Q.KERAS"}) {
            Path output = folder.resolve(name);
            assertThat(run(2, "undo", corrected.toString(), "--output", output.toString()))
                    .contains("has the name of a Keras model", "name it .onnx");
            assertThat(output).doesNotExist();
        }
    }

    @Test
    void aForgottenScaleIsRefusedAndTheMissingOptionNamed() throws IOException {
        Path quantized = Path.of("examples/fashion/w3a8.onnx");
        assertThat(correct(4, quantized, "--mean", "0.2860", "--std", "0.3530"))
                .contains(
                        "these are not the model's samples",
                        "beyond that",
                        "likeliest --scale 255 is missing",
                        "--force");
        assertThat(corrected).doesNotExist();
        assertThat(read().get("error").get("exitCode").asInt()).isEqualTo(4);
        Files.delete(report);
        assertThat(correct(4, quantized, "--scale", "65025", "--mean", "0.2860", "--std", "0.3530"))
                .contains("these are not the model's samples", "of which they use 0 %");
    }

    @Test
    void aDoubledMeanIsNamed() {
        String said = correct(
                0,
                Path.of("examples/fashion/w3a8.onnx"),
                "--scale",
                "255",
                "--mean",
                "0.5720",
                "--std",
                "0.3530",
                "--limit",
                "32",
                "--force");
        assertThat(said)
                .contains("warning: the samples for input 'input' run from -1.62", "likeliest --mean was doubled");
    }

    @Test
    void rightSamplesGetNoWarning() {
        assertThat(correct(0, "--limit", "32")).doesNotContain("warning:");
    }

    @Test
    void measuringWritesNoModelAndSaysWhatIsThere() throws IOException {
        assertThat(measure(0, "--limit", "32", "--report", report.toString()))
                .contains("verdict: measured, nothing corrected", "0 of 17 layers");
        JsonNode json = read();
        assertThat(json.get("command").asText()).isEqualTo("measure");
        assertThat(json.get("layers").get(3).get("status").asText()).isEqualTo("left");
        assertThat(json.get("layers").get(3).get("mseBefore").asDouble())
                .isPositive()
                .isEqualTo(json.get("layers").get(3).get("mseAfter").asDouble());
        assertThat(measure(5, "--limit", "32", "--require-agreement", "1"))
                .contains("does not pass: --require-agreement 1");
    }

    @Test
    void measuringChoosesNoReferenceAndTakesAMemoryLimit() throws IOException {
        String[] auto = command("measure", Path.of("nowhere.onnx"), "--reference", "auto");
        assertThat(run(2, auto)).contains("--reference auto chooses between two corrections");
        measure(0, "--limit", "64", "--memory-limit", "1", "--report", report.toString());
        assertThat(read().at("/memory/spilledBytes").asLong()).isPositive();
        assertThat(read().at("/options/--memory-limit").asText()).isEqualTo("1");
    }

    @Test
    void anyModelsAreComparedWithAndWithoutLabels() {
        List<String> arguments = new ArrayList<>(List.of(
                "compare",
                "--float",
                "examples/fashion/float.onnx",
                "examples/fashion/w3a8.onnx",
                "examples/fashion/float.onnx",
                "--limit",
                "20"));
        arguments.addAll(List.of(NORMALIZATION));
        List<String> labelled = new ArrayList<>(arguments);
        labelled.addAll(List.of("--samples", "examples/fashion/test.npz"));
        assertThat(run(0, labelled.toArray(String[]::new)))
                .contains(
                        " 88.80 % of 2000 right",
                        " 93.00 % of 2000 right", "logits: SQNR inf dB, cosine 1.0000", "20 samples");
        List<String> without = new ArrayList<>(arguments);
        without.addAll(List.of("--samples", "examples/fashion/calibration.npz"));
        assertThat(run(0, without.toArray(String[]::new)))
                .contains("logits: SQNR")
                .doesNotContain("right");
        assertThat(run(2, "compare", "examples/fashion/w3a8.onnx", "--samples", "examples/fashion/calibration.npz"))
                .contains("holds no labels, and there is no float model to compare with");
    }
}
