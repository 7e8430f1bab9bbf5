package dev.rebias.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.golden.KerasExample;
import dev.rebias.hdf5.Hdf5Editor;
import io.jhdf.HdfFile;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Whatever is wrong with a Keras file: one clear line, the documented exit code, and no output. */
final class BrokenKerasTest {
    private static final int UNSUPPORTED = 4;
    private static final int USAGE = 2;

    @TempDir
    Path folder;

    /** A way to break a file, and what must be said of it. */
    private record Case(
            String name, KerasExample example, int exitCode, UnaryOperator<byte[]> breaking, String... says) {
        @Override
        public String toString() {
            return name;
        }
    }

    private static Case hdf5(String name, UnaryOperator<byte[]> breaking, String... says) {
        return new Case(name, KerasExample.W4A4, UNSUPPORTED, breaking, says);
    }

    private static Case archive(String name, UnaryOperator<byte[]> breaking, String... says) {
        return new Case(name, KerasExample.W4A4_ARCHIVE, UNSUPPORTED, breaking, says);
    }

    private static UnaryOperator<byte[]> cut(int n) {
        return bytes -> Arrays.copyOf(bytes, n);
    }

    private static byte[] resource(String name) {
        try (InputStream in = BrokenKerasTest.class.getResourceAsStream(name)) {
            return in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static UnaryOperator<byte[]> instead(String text) {
        return bytes -> text.getBytes(StandardCharsets.UTF_8);
    }

    /** Replaces the first occurrence of a text, in place; the new one has the same length. */
    private static UnaryOperator<byte[]> patch(String from, String to) {
        return bytes -> {
            String text = new String(bytes, StandardCharsets.ISO_8859_1);
            assertThat(from).hasSameSizeAs(to);
            int at = text.indexOf(from);
            assertThat(at).as("position of '%s'", from).isNotNegative();
            byte[] out = bytes.clone();
            System.arraycopy(to.getBytes(StandardCharsets.ISO_8859_1), 0, out, at, to.length());
            return out;
        };
    }

    /** Replaces the model's configuration. */
    private static UnaryOperator<byte[]> config(UnaryOperator<String> change) {
        return bytes -> {
            String config;
            try (HdfFile file = HdfFile.fromBytes(bytes)) {
                config = (String) file.getAttribute("model_config").getData();
            }
            String changed = change.apply(config);
            assertThat(changed).isNotEqualTo(config);
            Hdf5Editor editor = new Hdf5Editor("a test's file", bytes);
            editor.setText(editor.root(), "model_config", changed);
            return editor.toBytes();
        };
    }

    private static long address(byte[] bytes, String path) {
        try (HdfFile file = HdfFile.fromBytes(bytes)) {
            return file.getByPath(path).getAddress();
        }
    }

    /** Puts other values, or a shape that the file cannot hold, into a weight. */
    private static UnaryOperator<byte[]> weight(String path, float value) {
        return bytes -> {
            float[] values;
            try (HdfFile file = HdfFile.fromBytes(bytes)) {
                values = (float[]) file.getDatasetByPath(path).getDataFlat();
            }
            values[values.length / 2] = value;
            Hdf5Editor editor = new Hdf5Editor("a test's file", bytes);
            editor.setFloats(address(bytes, path), values);
            return editor.toBytes();
        };
    }

    private static UnaryOperator<byte[]> firstDimension(String path, long from, long to) {
        return bytes -> {
            byte[] out = bytes.clone();
            ByteBuffer buffer = ByteBuffer.wrap(out).order(ByteOrder.LITTLE_ENDIAN);
            int header = (int) address(bytes, path);
            for (int at = header; at < header + 128; at += 8) {
                if (buffer.getLong(at) == from) {
                    buffer.putLong(at, to);
                    return out;
                }
            }
            throw new IllegalStateException("the dimension was not found");
        };
    }

    /** Changes, removes (null) or adds entries of an archive. */
    private static UnaryOperator<byte[]> entries(UnaryOperator<Map<String, byte[]>> change) {
        return bytes -> {
            Map<String, byte[]> entries = new LinkedHashMap<>();
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            try (ZipInputStream zip = new ZipInputStream(new ByteArrayInputStream(bytes))) {
                for (ZipEntry e = zip.getNextEntry(); e != null; e = zip.getNextEntry()) {
                    entries.put(e.getName(), zip.readAllBytes());
                }
                try (ZipOutputStream changed = new ZipOutputStream(out)) {
                    for (Map.Entry<String, byte[]> entry : change.apply(entries).entrySet()) {
                        changed.putNextEntry(new ZipEntry(entry.getKey()));
                        changed.write(entry.getValue());
                    }
                }
            } catch (IOException e) {
                throw new IllegalStateException(e);
            }
            return out.toByteArray();
        };
    }

    private static Map<String, byte[]> with(Map<String, byte[]> entries, String name, byte[] contents) {
        Map<String, byte[]> out = new LinkedHashMap<>(entries);
        out.put(name, contents);
        return out;
    }

    private static Map<String, byte[]> without(Map<String, byte[]> entries, String name) {
        Map<String, byte[]> out = new LinkedHashMap<>(entries);
        out.remove(name);
        return out;
    }

    static Stream<Case> cases() {
        List<Case> cases = new ArrayList<>();
        structure(cases);
        configurations(cases);
        weights(cases);
        archives(cases);
        return cases.stream();
    }

    private static void structure(List<Case> cases) {
        cases.add(hdf5("empty", cut(0), "model.h5", "cannot be read"));
        cases.add(hdf5("eight bytes", cut(8), "cut short"));
        cases.add(hdf5("superblock alone", cut(96), "cut short"));
        cases.add(hdf5("cut in half", cut(100_000), "cut short"));
        cases.add(
                hdf5("some bytes missing at the end", bytes -> Arrays.copyOf(bytes, bytes.length - 3000), "cut short"));
        cases.add(hdf5("text", instead("this is not a model at all\n"), "not an HDF5 file"));
        cases.add(hdf5(
                "an ONNX model by that name",
                bytes -> read(Path.of("examples/fashion/float.onnx")),
                "not an HDF5 file"));
        cases.add(hdf5("a damaged group", patch("SNOD", "SNOX"), "damaged"));
        cases.add(hdf5("a damaged name heap", patch("HEAP", "XEAP"), "damaged"));
        cases.add(hdf5("a damaged heap of texts", patch("GCOL", "GCOX"), "damaged"));
        cases.add(hdf5(
                "weights only", patch("model_config", "model_xonfig"), "holds weights, but no model", "model.save()"));
    }

    private static void configurations(List<Case> cases) {
        cases.add(hdf5("not JSON", config(c -> c.substring(0, c.length() / 2)), "not JSON", "save the model again"));
        cases.add(hdf5("more than JSON", config(c -> c + "]}"), "not JSON", "save the model again"));
        cases.add(hdf5("JSON of something else", config(c -> "{\"a\": [1, 2]}"), "no list config.layers", "version"));
        cases.add(hdf5(
                "a list of layers without a model (Keras 1)",
                config(c -> "{\"class_name\": \"Sequential\", \"config\": [{\"class_name\": \"Dense\"}]}"),
                "no list config.layers"));
        cases.add(hdf5(
                "an unknown kind of model", patch("\"Sequential\"", "\"Sequentiax\""), "Sequentiax", "functional"));
        cases.add(hdf5(
                "an unknown layer", patch("\"QuantizedConv2D\"", "\"QuantizedConvXD\""), "'conv1'", "QuantizedConvXD"));
        cases.add(hdf5(
                "an unknown quantiser",
                patch("MaxPerAxisQuantizer", "MaxPerAxisQuantizeX"),
                "'conv1'",
                "MaxPerAxisQuantizeX",
                "ScaleFactorQuantizer"));
        cases.add(hdf5(
                "no quantiser",
                config(c -> c.replaceFirst("\"quantizer\": \\{[^}]*\\}\\}", "\"quantizer\": null")),
                "'conv1'",
                "no 'quantizer'"));
        cases.add(hdf5("one bit", config(c -> c.replace("\"bitwidth\": 8", "\"bitwidth\": 1")), "'conv1'", "1 bits"));
        cases.add(hdf5(
                "a bitwidth that is no number",
                config(c -> c.replace("\"bitwidth\": 8", "\"bitwidth\": \"many\"")),
                "'conv1'",
                "\"many\""));
        cases.add(hdf5(
                "stride 0",
                config(c -> c.replaceFirst("\"strides\": \\[1, 1\\]", "\"strides\": [0, 1]")),
                "'conv1'",
                "strides"));
        cases.add(
                hdf5("an unknown padding", patch("\"padding\": \"same\"", "\"padding\": \"sane\""), "'conv1'", "sane"));
        cases.add(hdf5(
                "channels first",
                config(c ->
                        c.replaceFirst("\"data_format\": \"channels_last\"", "\"data_format\": \"channels_first\"")),
                "'pool2'",
                "channels_last"));
        cases.add(hdf5(
                "an unknown activation",
                config(c -> c.replaceFirst("\"units\": 48", "\"activation\": \"mystery\", \"units\": 48")),
                "'dense5'",
                "mystery"));
        cases.add(hdf5(
                "an activation that is an object",
                config(c ->
                        c.replaceFirst("\"units\": 48", "\"activation\": {\"class_name\": \"ReLU\"}, \"units\": 48")),
                "'dense5'",
                "'activation'",
                "a text is wanted"));
        cases.add(hdf5(
                "half precision",
                config(c -> c.replaceFirst(
                        "\"name\": \"sep2\", \"trainable\": true, \"dtype\": \"float32\"",
                        "\"name\": \"sep2\", \"trainable\": true, \"dtype\": \"mixed_float16\"")),
                "'sep2'",
                "mixed_float16"));
        cases.add(hdf5(
                "a trained threshold that is not there",
                config(c -> c.replaceFirst("MaxPerAxisQuantizer", "TrainableStdWeightQuantizer")),
                "'conv1'",
                "trained threshold"));
        cases.add(hdf5(
                "a layer with weights that it should not have",
                config(c -> c.replaceFirst("\"QuantizedConv2D\"", "\"QuantizedReLU\"")),
                "'conv1'",
                "stores 2 weights"));
        cases.add(hdf5(
                "a window larger than the image",
                config(c -> c.replace("[null, 28, 28, 1]", "[null, 8, 8, 1]")),
                "'conv4'",
                "does not fit into"));
        cases.add(hdf5(
                "an activation without steps",
                config(c -> c.replaceFirst("\"max_value\": 2[.0-9]*", "\"max_value\": -1")),
                "'relu1'",
                "step"));
        cases.add(hdf5("a layer without a name", config(c -> c.replace("\"name\": \"sep2\", ", "")), "without a name"));
        cases.add(hdf5(
                "two layers of one name",
                config(c -> c.replace("\"name\": \"sep3\"", "\"name\": \"sep2\"")),
                "two layers",
                "'sep2'"));
        cases.add(hdf5(
                "no input shape",
                config(c -> c.replace("\"batch_input_shape\": [null, 28, 28, 1], ", "")),
                "'input_1'",
                "batch_shape"));
        cases.add(hdf5(
                "an impossible input shape",
                config(c -> c.replace("[null, 28, 28, 1]", "[null, 28, 28, 1, 1, 1]")),
                "'input_1'",
                "[28,28,1,1,1]"));
        cases.add(hdf5(
                "a larger input than the weights are for",
                config(c -> c.replace("[null, 28, 28, 1]", "[null, 32, 32, 1]")),
                "'dense5'",
                "[192,48]"));
        cases.add(hdf5("a model of floats", bytes -> read(KerasExample.floatFile()), "float model", "QuantizedConv2D"));
    }

    private static void weights(List<Case> cases) {
        cases.add(hdf5(
                "other shapes than configured",
                config(c -> c.replace("\"filters\": 16", "\"filters\": 17")),
                "'conv1'",
                "[3,3,1,16]",
                "[3,3,1,17]"));
        cases.add(hdf5("a weight that is not there", patch("conv1/kernel:0", "conv1/kexnel:0"), "missing", "kexnel:0"));
        cases.add(hdf5(
                "a group that is not there",
                config(c -> c.replace("\"name\": \"sep3\"", "\"name\": \"sep9\"")),
                "'model_weights/sep9'"));
        cases.add(hdf5(
                "a bias that is not there",
                config(c -> c.replace("\"use_bias\": false", "\"use_bias\": true")),
                "'conv4'",
                "bias",
                "missing"));
        cases.add(hdf5(
                "a weight that is no number",
                weight("/model_weights/sep2/sep2/pointwise_kernel:0", Float.NaN),
                "'sep2'",
                "NaN"));
        cases.add(hdf5(
                "a weight of enormous size",
                firstDimension("/model_weights/conv1/conv1/kernel:0", 3, 1L << 40),
                "conv1/kernel:0"));
        cases.add(hdf5(
                "a weight larger than the file",
                firstDimension("/model_weights/conv1/conv1/kernel:0", 3, 1 << 24),
                "conv1/kernel:0",
                "claims"));
        cases.add(new Case(
                "corrected before",
                KerasExample.W4A4,
                USAGE,
                bytes -> {
                    Hdf5Editor editor = new Hdf5Editor("a test's file", bytes);
                    editor.setText(editor.root(), "rebias_bias_correction", "on a Monday");
                    return editor.toBytes();
                },
                "corrected already",
                "on a Monday",
                "--force"));
    }

    private static void archives(List<Case> cases) {
        cases.add(archive("archive cut in half", cut(100_000), "model.keras", "cut short"));
        cases.add(archive(
                "archive that unpacks to a hundred times its size",
                entries(e -> {
                    Map<String, byte[]> more = new LinkedHashMap<>(e);
                    more.put("assets/zeros", new byte[80 << 20]);
                    return more;
                }),
                "unpacks to more than 67108864 bytes",
                "assets/zeros"));
        cases.add(archive(
                "archive whose many entries unpack to a hundred times its size",
                entries(e -> {
                    Map<String, byte[]> more = new LinkedHashMap<>(e);
                    for (int i = 0; i < 20; i++) {
                        more.put("assets/" + i, new byte[4 << 20]);
                    }
                    return more;
                }),
                "unpacks to more than 67108864 bytes"));
        cases.add(hdf5(
                "deflated weights of 108 MB in 150 kB",
                bytes -> resource("/deflated-zeros.h5"),
                "[3,3,1,3000000]",
                "more than a file of"));
        cases.add(archive("archive of nothing", cut(4), "model.weights.h5"));
        cases.add(archive("archive without weights", entries(e -> without(e, "model.weights.h5")), "model.weights.h5"));
        cases.add(archive("archive without configuration", entries(e -> without(e, "config.json")), "config.json"));
        cases.add(archive(
                "archive that points outside",
                entries(e -> with(e, "../../etc/passwd", new byte[1])),
                "points out of the archive"));
        cases.add(archive(
                "archive with an absolute path",
                entries(e -> with(e, "/etc/passwd", new byte[1])),
                "points out of the archive"));
        cases.add(archive(
                "archive with other weights",
                entries(e -> with(
                        e,
                        "config.json",
                        new String(e.get("config.json"), StandardCharsets.UTF_8)
                                .replace("conv4", "convX")
                                .getBytes(StandardCharsets.UTF_8))),
                "'convX'",
                "do not belong together"));
        cases.add(archive(
                "archive whose configuration is not JSON",
                entries(e -> with(e, "config.json", "<xml/>".getBytes(StandardCharsets.UTF_8))),
                "not JSON"));
        cases.add(archive(
                "archive with a damaged weights file",
                entries(e -> with(e, "model.weights.h5", new byte[20_000_000])),
                "model.weights.h5",
                "not an HDF5 file"));
    }

    private static byte[] read(Path file) {
        try {
            return Files.readAllBytes(file);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void oneSentenceAndTheRightExitCode(Case broken) throws IOException {
        Path model = folder.resolve(broken.example() == KerasExample.W4A4_ARCHIVE ? "model.keras" : "model.h5");
        Files.write(model, broken.breaking().apply(read(broken.example().modelFile())));
        Path output = folder.resolve("out" + model.getFileName().toString().substring("model".length()));
        CommandLineRun.Captured run = CommandLineRun.captured(
                "correct",
                "--device",
                "cpu",
                "--quantized",
                model.toString(),
                "--samples",
                KerasExample.calibrationFile().toString(),
                "--limit",
                "2",
                "--output",
                output.toString());
        int exitCode = run.exitCode();
        String said = run.err();
        System.out.println(broken.name() + ": " + said.strip());
        assertThat(exitCode).as(said).isEqualTo(broken.exitCode());
        assertThat(said.strip().lines()).as(said).hasSize(1);
        assertThat(said).startsWith("rebias: ").contains(broken.says()).doesNotContain("internal error");
        assertThat(output).doesNotExist();
        try (Stream<Path> left = Files.list(folder)) {
            assertThat(left).containsExactly(model);
        }
    }
}
