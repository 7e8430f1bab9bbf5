package dev.rebias.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.rebias.golden.KerasExample;
import dev.rebias.samples.Npz;
import dev.rebias.tensor.HostTensor;
import io.jhdf.HdfFile;
import io.jhdf.api.dataset.ContiguousDataset;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** The commands on Keras models, as a user types them. */
final class KerasCommandsTest {
    /** Of a layer's largest correction, around the engine's. */
    private static final double TOLERANCE = 5e-4;

    @TempDir
    Path folder;

    private Path model;

    @BeforeEach
    void copyModel() throws IOException {
        model = folder.resolve("model.h5");
        Files.copy(KerasExample.W3A4.modelFile(), model);
    }

    /** What the program says, on either stream. */
    private static String run(int exitCode, String... arguments) {
        CommandLineRun.Captured run = CommandLineRun.captured(arguments);
        assertThat(run.exitCode()).as(run::said).isEqualTo(exitCode);
        return run.said();
    }

    private static String correct(int exitCode, Path quantized, Path output, String... more) {
        List<String> arguments = new ArrayList<>(List.of(
                "correct",
                "--device",
                "cpu",
                "--quantized",
                quantized.toString(),
                "--samples",
                KerasExample.calibrationFile().toString(),
                "--output",
                output.toString()));
        arguments.addAll(List.of(more));
        return run(exitCode, arguments.toArray(String[]::new));
    }

    private static String calibrate(int exitCode, Path quantized, Path samples, String... more) {
        List<String> arguments = new ArrayList<>(
                List.of("calibrate", "bc", "-m", quantized.toString(), "-sa", samples.toString(), "--device", "cpu"));
        arguments.addAll(List.of(more));
        return run(exitCode, arguments.toArray(String[]::new));
    }

    /** The largest distance of the written biases from a golden file's, in units of each layer's bound. */
    private static double worst(Path written, String golden) {
        double worst = 0;
        try (HdfFile file = new HdfFile(written)) {
            for (String layer : KerasExample.LAYERS) {
                float[] bias = (float[]) file.getDatasetByPath("/model_weights/" + layer + "/" + layer + "/bias:0")
                        .getDataFlat();
                double[] expected = KerasExample.W3A4.golden(golden, "bias:" + layer);
                double largest = Arrays.stream(KerasExample.W3A4.golden(golden, "delta:" + layer))
                        .map(Math::abs)
                        .max()
                        .orElseThrow();
                for (int c = 0; c < bias.length; c++) {
                    worst = Math.max(worst, Math.abs(bias[c] - expected[c]) / (TOLERANCE * largest));
                }
            }
        }
        return worst;
    }

    /** The first samples, in a file of several arrays. */
    private Path samples(int... counts) throws IOException {
        HostTensor all = Npz.read(KerasExample.calibrationFile(), "samples");
        Path file = folder.resolve("parts.npz");
        int from = 0;
        try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(file))) {
            for (int count : counts) {
                zip.putNextEntry(new ZipEntry("arr_" + (from == 0 ? "z" : Integer.toString(from)) + ".npy"));
                String header = "{'descr': '|u1', 'fortran_order': False, 'shape': (" + count + ", 28, 28, 1), }";
                String padded = header + " ".repeat(117 - header.length()) + "\n";
                zip.write(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (byte) padded.length(), 0});
                zip.write(padded.getBytes(StandardCharsets.US_ASCII));
                byte[] pixels = new byte[count * 784];
                ByteBuffer source = all.bytes();
                source.position(from * 784).get(pixels);
                zip.write(pixels);
                from += count;
            }
        }
        return file;
    }

    @Test
    void newWeightsAreRefusedBeforeAnyWork() {
        Path output = folder.resolve("model_w.h5");
        String said = run(
                4,
                "correct",
                "--quantized",
                model.toString(),
                "--samples",
                folder.resolve("no-such-samples.npz").toString(),
                "--adjust",
                "weights",
                "--output",
                output.toString());
        assertThat(said.lines())
                .singleElement()
                .asString()
                .contains("Keras", "--adjust weights", "adjust biases")
                .doesNotContain("no-such-samples");
        assertThat(output).doesNotExist();
    }

    @Test
    void correctWritesAModelThatVerifies() {
        Path output = folder.resolve("model_bc.h5");
        String said = correct(0, model, output, "--verify");
        assertThat(said)
                .contains(
                        "conv4",
                        "(1 had no bias and was given one)",
                        "6 of 6 layers corrected",
                        "verified: 6 layers compared");
        assertThat(worst(output, "golden-256.npz")).isLessThanOrEqualTo(1);
    }

    private static String undo(int exitCode, Path corrected, Path output) {
        return run(exitCode, "undo", corrected.toString(), "--output", output.toString());
    }

    /** What an archive's entries hold, or for an HDF5 file its bytes. */
    private static Map<String, byte[]> contents(Path model) throws IOException {
        byte[] bytes = Files.readAllBytes(model);
        Map<String, byte[]> contents = new LinkedHashMap<>();
        if (model.toString().endsWith(".h5")) {
            contents.put("file", bytes);
            return contents;
        }
        try (ZipInputStream zip = new ZipInputStream(new ByteArrayInputStream(bytes))) {
            for (ZipEntry e = zip.getNextEntry(); e != null; e = zip.getNextEntry()) {
                contents.put(e.getName() + " " + e.getMethod() + " " + e.getTimeLocal(), zip.readAllBytes());
            }
        }
        return contents;
    }

    @ParameterizedTest
    @EnumSource(KerasExample.class)
    void undoGivesEveryByteBackAfterOneCorrectionAndAfterTwo(KerasExample example) throws IOException {
        String suffix = example == KerasExample.W4A4_ARCHIVE ? ".keras" : ".h5";
        Path once = folder.resolve("once" + suffix);
        Path twice = folder.resolve("twice" + suffix);
        Path original = folder.resolve("original" + suffix);
        correct(0, example.modelFile(), once, "--limit", "20");
        correct(0, once, twice, "--limit", "30", "--include", "conv4", "--force");
        assertThat(undo(0, once, original)).contains("undone: rebias ", "reference layer, 6 layers, 20 samples");
        assertThat(contents(original)).usingRecursiveComparison().isEqualTo(contents(example.modelFile()));
        Files.delete(original);
        assertThat(undo(0, twice, original)).contains("reference layer, 1 layer, 30 samples");
        assertThat(contents(original)).usingRecursiveComparison().isEqualTo(contents(example.modelFile()));
        assertThat(run(0, "inspect", "--quantized", twice.toString()))
                .contains("corrected before: rebias ", "1 layer, 30 samples", "'rebias undo' brings the original back");
    }

    @Test
    void anExistingKerasOutputIsSkippedOnlyWhereItIsTheSame() {
        for (String name : new String[] {"c.h5", "c.onnx"}) {
            Path output = folder.resolve(name);
            assertThat(correct(0, model, output, "--limit", "20", "--skip-existing"))
                    .contains("wrote ");
            assertThat(correct(0, model, output, "--limit", "20", "--skip-existing"))
                    .contains("is left as it is");
            assertThat(correct(2, model, output, "--limit", "21", "--skip-existing"))
                    .contains("does not say");
        }
    }

    private static void changeAKernel(Path model) throws IOException {
        byte[] bytes = Files.readAllBytes(model);
        byte[] other = bytes.clone();
        try (HdfFile file = HdfFile.fromBytes(bytes)) {
            long kernel =
                    ((ContiguousDataset) file.getDatasetByPath("/model_weights/conv4/conv4/kernel:0")).getDataAddress();
            other[(int) kernel] ^= 1;
        }
        Files.write(model, other);
    }

    @Test
    void aCorrectionOfAChangedFileIsUndoneAlone() throws IOException {
        Path once = folder.resolve("once.h5");
        Path twice = folder.resolve("twice.h5");
        Path undone = folder.resolve("undone.h5");
        String floating = KerasExample.floatFile().toString();
        correct(0, model, once, "--limit", "20");
        assertThat(run(0, "inspect", "--quantized", once.toString())).contains("brings the original back");
        changeAKernel(once);
        assertThat(run(0, "inspect", "--quantized", once.toString())).doesNotContain("brings the original back");
        assertThat(correct(0, once, twice, "--float", floating, "--limit", "20"))
                .contains("; that correction cannot be undone: '" + once + "' was changed since it was corrected")
                .doesNotContain("brings the first ones back");
        assertThat(undo(0, twice, undone))
                .contains(
                        "warning: what is written was corrected before that: the original of '" + twice
                                + "' was changed since it was corrected",
                        "wrote ");
        assertThat(undone).hasSameBinaryContentAs(once);
    }

    @Test
    void aKerasFileThatCannotBeUndoneSaysWhy() throws IOException {
        Path output = folder.resolve("c.h5");
        Path original = folder.resolve("original.h5");
        assertThat(undo(4, model, original)).contains("was not corrected by rebias");
        correct(0, model, output, "--limit", "20", "--no-undo");
        assertThat(undo(4, output, original)).contains("made with --no-undo");
        assertThat(run(0, "inspect", "--quantized", output.toString())).doesNotContain("brings the original back");
        correct(0, model, output, "--limit", "20", "--force");
        // Not even where a correction before it could be undone.
        Path twice = folder.resolve("twice.h5");
        correct(0, output, twice, "--limit", "20", "--force", "--no-undo");
        assertThat(undo(4, twice, original)).contains("made with --no-undo");
        byte[] bytes = Files.readAllBytes(output);
        changeAKernel(output);
        assertThat(undo(4, output, original)).contains("was changed since it was corrected");
        // What the file tells of its past is text that anybody can have written.
        for (String[] damage : new String[][] {
            {"\"length\":", "\"lenght\":"},
            {"\"ranges\":[", "\"ranges\":{"},
            {"\"at\":", "\"ta\":"},
            {"{\"entries\"", "{\"entriez\""}
        }) {
            String text = new String(bytes, StandardCharsets.ISO_8859_1);
            assertThat(text).contains(damage[0]);
            Files.write(output, text.replace(damage[0], damage[1]).getBytes(StandardCharsets.ISO_8859_1));
            assertThat(undo(4, output, original)).contains("biases before the correction is damaged");
        }
        assertThat(original).doesNotExist();
    }

    @Test
    void whoMayReadTheModelMayReadTheCorrectedOne() throws IOException {
        Path output = folder.resolve("model_bc.h5");
        correct(0, model, output, "--limit", "2");
        Path other = Files.writeString(folder.resolve("other"), "as any file is made here");
        assertThat(Files.getPosixFilePermissions(output)).isEqualTo(Files.getPosixFilePermissions(other));
    }

    @Test
    void theClosedFormWritesTheSameBiases() {
        Path output = folder.resolve("model_bc.h5");
        correct(0, model, output, "--no-mse");
        assertThat(worst(output, "golden-256.npz")).isLessThanOrEqualTo(1);
    }

    @Test
    void theOnnxExportVerifiesToo() {
        String said = correct(0, model, folder.resolve("model_bc.onnx"), "--verify");
        assertThat(said).contains("verified: 6 layers compared");
    }

    @ParameterizedTest
    @CsvSource({"1", "7", "64", "256", "1000"})
    void calibrateWritesBesideTheModelWhateverTheBatchSize(int batchSize) {
        calibrate(0, model, KerasExample.calibrationFile(), "-bs", Integer.toString(batchSize));
        assertThat(worst(folder.resolve("model_bc_calibrated.h5"), "golden-256-b64.npz"))
                .isLessThanOrEqualTo(1);
    }

    @Test
    void calibrateJoinsAllArraysAndKeepsTheRemainder() throws IOException {
        calibrate(0, model, samples(100, 31, 125), "-bs", "64");
        assertThat(worst(folder.resolve("model_bc_calibrated.h5"), "golden-256.npz"))
                .isLessThanOrEqualTo(1);
    }

    @Test
    void calibrateDropsTheRemainderOnRequestAsCnn2snnDoes() throws IOException {
        Path output = folder.resolve("dropped.h5");
        calibrate(0, model, samples(250), "-bs", "64", "--drop-remainder", "--output", output.toString());
        assertThat(worst(output, "golden-250-b64.npz")).isLessThanOrEqualTo(1);
        Path kept = folder.resolve("kept.h5");
        calibrate(0, model, folder.resolve("parts.npz"), "-bs", "64", "--output", kept.toString());
        assertThat(worst(kept, "golden-250-b64.npz")).isGreaterThan(5);
    }

    @Test
    void aBatchLargerThanTheSamplesIsRefusedWhereTheRemainderIsDropped() throws IOException {
        String said = calibrate(2, model, samples(50), "-bs", "64", "--drop-remainder");
        assertThat(said).contains("leaves none of 50 samples");
        assertThat(folder.resolve("model_bc_calibrated.h5")).doesNotExist();
    }

    @Test
    void arraysThatDoNotFitTogetherAreRefused() throws IOException {
        Path file = folder.resolve("mixed.npz");
        try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(file))) {
            for (String shape : List.of("(1, 28, 28, 1)", "(1, 14, 56, 1)")) {
                zip.putNextEntry(new ZipEntry(shape.charAt(4) + ".npy"));
                String header = "{'descr': '|u1', 'fortran_order': False, 'shape': " + shape + ", }";
                String padded = header + " ".repeat(117 - header.length()) + "\n";
                zip.write(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (byte) padded.length(), 0});
                zip.write(padded.getBytes(StandardCharsets.US_ASCII));
                zip.write(new byte[784]);
            }
        }
        assertThat(calibrate(4, model, file)).contains("[1,14,56,1]", "[1,28,28,1]", "cannot be joined");
    }

    @Test
    void aSecondCorrectionIsRefusedUnlessForcedOrGivenTheFloatModel() {
        Path once = folder.resolve("once.h5");
        correct(0, model, once);
        Path twice = folder.resolve("twice.h5");
        assertThat(correct(2, once, twice))
                .contains("corrected already (rebias", "reference layer, 256 samples)", "--force");
        assertThat(twice).doesNotExist();
        assertThat(calibrate(2, once, KerasExample.calibrationFile())).contains("corrected already");
        // With the float model the reference has its own biases, and nothing is left to correct.
        correct(0, once, twice, "--float", KerasExample.floatFile().toString());
        assertThat(worst(twice, "golden-256.npz")).isLessThanOrEqualTo(1);
        correct(0, once, twice, "--force");
        assertThat(worst(twice, "golden-256.npz")).isGreaterThan(100);
    }

    @Test
    void theNetworkReferenceNeedsTheFloatModel() {
        Path output = folder.resolve("out.h5");
        assertThat(correct(2, model, output, "--reference", "network")).contains("--float");
        String said = correct(
                0,
                model,
                output,
                "--reference",
                "network",
                "--float",
                KerasExample.floatFile().toString());
        assertThat(said).contains("reference network");
    }

    @Test
    void modelsOfTwoKindsAreRefused() {
        Path output = folder.resolve("out.h5");
        assertThat(correct(2, model, output, "--float", "examples/fashion/float.onnx"))
                .contains("two models of one kind");
        assertThat(correct(
                        2,
                        Path.of("examples/fashion/w3a8.onnx"),
                        folder.resolve("out.onnx"),
                        "--float",
                        model.toString()))
                .contains("two models of one kind");
        assertThat(correct(2, Path.of("examples/fashion/w3a8.onnx"), folder.resolve("out.onnx")))
                .contains("--float F.onnx");
    }

    @ParameterizedTest
    @CsvSource({"out.keras, .h5", "out.bin, .h5", "out, .onnx"})
    void theOutputsNameMustSayItsForm(String name, String says) {
        assertThat(correct(2, model, folder.resolve(name))).contains("name it", says);
    }

    @Test
    void theModelItselfIsNeverWrittenOver() throws IOException {
        byte[] before = Files.readAllBytes(model);
        assertThat(correct(2, model, model, "--force")).contains("is also an input");
        assertThat(Files.readAllBytes(model)).isEqualTo(before);
    }

    @Test
    void calibrateTakesKerasModelsOnly() {
        assertThat(calibrate(2, Path.of("examples/fashion/w3a8.onnx"), KerasExample.calibrationFile()))
                .contains("rebias correct");
        assertThat(run(2, "calibrate")).contains("calibrate bc");
    }

    @Test
    void inspectShowsTheLayersAndWhyOthersAreNone() throws IOException {
        String said = run(0, "inspect", "--quantized", model.toString(), "--plan", "100", "--device", "cpu");
        assertThat(said).contains("input input_1 FLOAT [N,28,28,1]", "bias none   conv4", "6 of 6 layers", "predicted");
        Path mixed = folder.resolve("mixed.h5");
        byte[] bytes = Files.readAllBytes(model);
        Files.write(mixed, bytes);
        try (HdfFile file = HdfFile.fromBytes(bytes)) {
            String config = (String) file.getAttribute("model_config").getData();
            var editor = new dev.rebias.hdf5.Hdf5Editor("a test's file", bytes);
            editor.setText(editor.root(), "model_config", config.replaceFirst("QuantizedDense", "Dense"));
            Files.write(mixed, editor.toBytes());
        }
        assertThat(run(0, "inspect", "--quantized", mixed.toString()))
                .contains("dense5: its weights are not quantised (Dense)", "5 of 6 layers");
        Path output = folder.resolve("mixed_bc.h5");
        correct(0, mixed, output);
        try (HdfFile a = new HdfFile(mixed);
                HdfFile b = new HdfFile(output)) {
            String path = "/model_weights/dense5/dense5/bias:0";
            assertThat((float[]) b.getDatasetByPath(path).getDataFlat())
                    .isEqualTo((float[]) a.getDatasetByPath(path).getDataFlat());
        }
    }

    @Test
    void onlyTheChosenLayersChange() {
        Path output = folder.resolve("some.h5");
        correct(0, model, output, "--include", "sep");
        try (HdfFile a = new HdfFile(model);
                HdfFile b = new HdfFile(output)) {
            for (String layer : List.of("conv1", "sep2", "sep3", "dense5", "logits")) {
                String path = "/model_weights/" + layer + "/" + layer + "/bias:0";
                boolean same = Arrays.equals((float[]) a.getDatasetByPath(path).getDataFlat(), (float[])
                        b.getDatasetByPath(path).getDataFlat());
                assertThat(same).as(layer).isEqualTo(!layer.startsWith("sep"));
            }
            assertThat(b.getByPath("/model_weights/conv4/conv4").toString()).isNotEmpty();
            assertThat(((io.jhdf.api.Group) b.getByPath("/model_weights/conv4/conv4")).getChildren())
                    .containsOnlyKeys("kernel:0");
        }
    }

    @ParameterizedTest
    @CsvSource({"W3A4, 86.40, 89.04", "W2A4_STD, 31.33, 55.74"})
    @EnabledIfSystemProperty(
            named = "rebias.assets",
            matches = ".+",
            disabledReason = "needs the whole test set: -Drebias.assets=FOLDER")
    void compareShowsThePublishedAccuracies(KerasExample example, double quantised, double corrected) {
        Path output = folder.resolve("model_bc.h5");
        correct(0, example.modelFile(), output);
        String said = run(
                0,
                "compare",
                example.modelFile().toString(),
                output.toString(),
                "--samples",
                Path.of(System.getProperty("rebias.assets"), "fashion", "test.npz")
                        .toString());
        Matcher m = Pattern.compile("([0-9.]+) % of 10000").matcher(said);
        assertThat(m.find()).isTrue();
        double before = Double.parseDouble(m.group(1));
        assertThat(m.find()).isTrue();
        double after = Double.parseDouble(m.group(1));
        System.out.printf(
                "%s: %.2f %% -> %.2f %%, published %.2f %% -> %.2f %%%n", example, before, after, quantised, corrected);
        assertThat(before).isCloseTo(quantised, within(0.3));
        assertThat(after).isCloseTo(corrected, within(0.3));
    }

    @Test
    void undoRefusesANameOfAnotherForm() {
        Path once = folder.resolve("once.h5");
        correct(0, model, once, "--limit", "20");
        for (String name : new String[] {"q.onnx", "q.keras", "q"}) {
            Path output = folder.resolve(name);
            assertThat(undo(2, once, output)).contains("does not say in which form to write: name it .h5");
            assertThat(output).doesNotExist();
        }
        Path archive = folder.resolve("once.keras");
        correct(0, KerasExample.W4A4_ARCHIVE.modelFile(), archive, "--limit", "20");
        assertThat(undo(2, archive, folder.resolve("q.h5"))).contains("name it .keras");
    }

    @Test
    void anEarlierCorrectionIsToldOfAndOneFromFewerSamplesRefused() {
        Path once = folder.resolve("once.h5");
        Path twice = folder.resolve("twice.h5");
        String floating = KerasExample.floatFile().toString();
        correct(0, model, once, "--limit", "20");
        assertThat(correct(5, once, twice, "--float", floating, "--limit", "19"))
                .contains(
                        "is not written: the quantised model was corrected before, from more samples",
                        "(20, and now 19)");
        assertThat(twice).doesNotExist();
        assertThat(correct(0, once, twice, "--float", floating, "--limit", "20"))
                .contains(
                        "warning: the quantised model was corrected before (rebias ",
                        "corrected anew from the float model's, and 'undo' of the corrected Keras file brings the "
                                + "first ones back");
        assertThat(correct(0, once, folder.resolve("third.h5"), "--limit", "20", "--force", "--no-undo"))
                .contains("its biases, which the float reference takes over, contain that correction")
                .doesNotContain("brings the first ones back");
        Path bare = folder.resolve("bare.h5");
        correct(0, model, bare, "--limit", "20", "--no-undo");
        assertThat(correct(0, bare, folder.resolve("fourth.h5"), "--float", floating, "--limit", "20"))
                .contains("was corrected before (rebias ", "; that correction cannot be undone: ", "with --no-undo")
                .doesNotContain("brings the first ones back");
    }
}
