package dev.rebias.cli;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.FunctionProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.SparseTensorProto;
import ai.onnx.proto.OnnxMl.StringStringEntryProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import com.google.protobuf.ByteString;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Whatever is wrong with the input: one clear line, the documented exit code, and nothing lost or left behind. */
final class BadInputTest {
    @TempDir
    Path folder;

    /** A way to break the input of {@code rebias correct}, and what it must say. */
    private record Case(String name, int exitCode, Breaking breaking, String... says) {
        @Override
        public String toString() {
            return name;
        }
    }

    /** Breaks files in the folder and changes the arguments. */
    @FunctionalInterface
    private interface Breaking {
        void apply(Path folder, Map<String, String> arguments) throws IOException;
    }

    static Stream<Case> cases() {
        List<Case> cases = new ArrayList<>();
        models(cases);
        samples(cases);
        options(cases);
        outputs(cases);
        lessObvious(cases);
        return cases.stream();
    }

    private static void models(List<Case> cases) {
        cases.add(new Case(
                "float model missing",
                2,
                (d, a) -> a.put("--float", d.resolve("no.onnx").toString()),
                "no.onnx",
                "does not exist"));
        cases.add(new Case(
                "quantised model missing",
                2,
                (d, a) -> a.put("--quantized", d.resolve("no.onnx").toString()),
                "no.onnx",
                "does not exist"));
        cases.add(new Case("model is a folder", 2, (d, a) -> a.put("--float", d.toString()), "is not a file"));
        cases.add(new Case(
                "model empty",
                4,
                (d, a) -> Files.write(d.resolve("q.onnx"), new byte[0]),
                "q.onnx",
                "not an ONNX model"));
        cases.add(new Case("model truncated", 4, (d, a) -> cut(d.resolve("q.onnx"), 0.5), "q.onnx", "cut short"));
        cases.add(new Case(
                "model is text",
                4,
                (d, a) -> Files.writeString(d.resolve("q.onnx"), "hello, I am a text file\n".repeat(50)),
                "not an ONNX model"));
        cases.add(new Case(
                "model is the samples",
                4,
                (d, a) -> a.put("--float", d.resolve("s.npz").toString()),
                "s.npz",
                "not an ONNX model"));
        cases.add(new Case(
                "models of different networks",
                4,
                (d, a) -> a.put("--float", "examples/ocr-orientation/float.onnx"),
                "must take the same samples",
                "give the float model"));
        cases.add(new Case(
                "graph without nodes",
                4,
                model(m -> m.getGraphBuilder().clearNode()),
                "q.onnx",
                "no graph with nodes"));
        cases.add(new Case("opset 6", 4, model(m -> m.getOpsetImportBuilder(0).setVersion(6)), "opset 6"));
        cases.add(new Case(
                "tensor that nothing makes",
                4,
                model(m -> m.getGraphBuilder().getNodeBuilder(5).setInput(0, "phantom")),
                "phantom",
                "not a graph input, initializer, or output of a previous node"));
        cases.add(new Case(
                "unknown op",
                4,
                model(m -> m.getGraphBuilder().getNodeBuilder(4).setOpType("Blorp")),
                "Blorp"));
        cases.add(new Case(
                "unknown domain",
                4,
                model(m -> m.getGraphBuilder().getNodeBuilder(4).setDomain("com.example")),
                "com.example"));
        cases.add(new Case(
                "local function for another operator set",
                4,
                model(m -> m.addFunctions(FunctionProto.newBuilder()
                        .setName("f")
                        .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(99)))),
                "local function 'f'",
                "99",
                "convert_version"));
        cases.add(new Case(
                "sparse initializers",
                4,
                model(m -> m.getGraphBuilder()
                        .addSparseInitializer(SparseTensorProto.newBuilder().addDims(1))),
                "sparse"));
        cases.add(new Case("external data missing", 4, external("weights.bin"), "weights.bin", "is missing"));
        cases.add(new Case(
                "external data outside the folder",
                4,
                external("../weights.bin"),
                "../weights.bin",
                "outside its own folder"));
        cases.add(new Case(
                "external data too short",
                4,
                (d, a) -> {
                    Files.write(d.resolve("short.bin"), new byte[4]);
                    external("short.bin").apply(d, a);
                },
                "short.bin",
                "cut short"));
        cases.add(new Case(
                "weights of another shape",
                4,
                model(m -> {
                    for (TensorProto.Builder t : m.getGraphBuilder().getInitializerBuilderList()) {
                        if (t.getName().endsWith("_q8")) {
                            t.setDims(0, 1).setRawData(t.getRawData().substring(0, (int)
                                    (t.getRawData().size() / Math.max(1, t.getDims(0)))));
                        }
                    }
                }),
                "q.onnx"));
        cases.add(new Case(
                "weights that are not numbers",
                4,
                model(m -> m.getGraphBuilder().getInitializerBuilderList().stream()
                        .filter(t -> t.getName().endsWith("_ws"))
                        .forEach(t ->
                                t.clearFloatData().setRawData(nans(t.getDimsCount() == 0 ? 1 : (int) t.getDims(0))))),
                "not finite"));
    }

    private static ByteString nans(int n) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * n).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < n; i++) {
            bytes.putFloat(Float.NaN);
        }
        return ByteString.copyFrom(bytes.flip());
    }

    private static void samples(List<Case> cases) {
        cases.add(new Case(
                "samples missing",
                2,
                (d, a) -> a.put("--samples", d.resolve("no.npz").toString()),
                "no.npz",
                "do not exist"));
        cases.add(new Case(
                "samples are text",
                4,
                (d, a) -> Files.writeString(d.resolve("s.npz"), "1,2,3"),
                "neither a NumPy archive"));
        cases.add(new Case("archive truncated", 4, (d, a) -> cut(d.resolve("s.npz"), 0.5), "s.npz", "damaged"));
        cases.add(new Case(
                "archive with flipped bytes",
                4,
                (d, a) -> {
                    byte[] bytes = Files.readAllBytes(d.resolve("s.npz"));
                    Arrays.fill(bytes, 300, 3000, (byte) 0x5a);
                    Files.write(d.resolve("s.npz"), bytes);
                },
                "damaged"));
        cases.add(new Case(
                "one pixel of a stored array flipped",
                4,
                (d, a) -> {
                    byte[] pixels = npy("|u1", "(2, 1, 28, 28)", 1568);
                    CRC32 crc = new CRC32();
                    crc.update(pixels);
                    ZipEntry entry = new ZipEntry("input.npy");
                    entry.setMethod(ZipEntry.STORED);
                    entry.setSize(pixels.length);
                    entry.setCrc(crc.getValue());
                    try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(d.resolve("s.npz")))) {
                        zip.putNextEntry(entry);
                        zip.write(pixels);
                    }
                    byte[] bytes = Files.readAllBytes(d.resolve("s.npz"));
                    bytes[1000] ^= 4;
                    Files.write(d.resolve("s.npz"), bytes);
                },
                "damaged",
                "checksum"));
        cases.add(npz(
                "array name not the input's, two arrays",
                Map.of("a", npy("<f4", "(1, 1, 28, 28)", 3136), "b", npy("<f4", "(1, 1, 28, 28)", 3136)),
                "'input' is missing"));
        cases.add(npz("rank too low", Map.of("input", npy("|u1", "(2, 784)", 1568)), "[2,784]", "wants [N,1,28,28]"));
        cases.add(npz("wrong height", Map.of("input", npy("|u1", "(2, 1, 27, 28)", 1512)), "[2,1,27,28]"));
        cases.add(npz("wrong channels", Map.of("input", npy("|u1", "(2, 3, 28, 28)", 4704)), "[2,3,28,28]"));
        cases.add(npz("no samples", Map.of("input", npy("|u1", "(0, 1, 28, 28)", 0)), "no samples"));
        cases.add(npz("not a number", Map.of("input", floats(3, Float.NaN, 1)), "NaN", "sample 1"));
        cases.add(npz("infinity", Map.of("input", floats(3, Float.POSITIVE_INFINITY, 2)), "Infinity", "sample 2"));
        cases.add(npz("complex numbers", Map.of("input", npy("<c8", "(1, 1, 28, 28)", 6272)), "<c8"));
        cases.add(npz("text", Map.of("input", npy("<U5", "(1, 1, 28, 28)", 15680)), "<U5"));
        cases.add(npz("pickled objects", Map.of("input", npy("|O", "(1, 1, 28, 28)", 6272)), "|O"));
        cases.add(npz("big endian", Map.of("input", npy(">f4", "(1, 1, 28, 28)", 3136)), ">f4", "little endian"));
        cases.add(npz(
                "fewer bytes than the shape says",
                Map.of("input", npy("|u1", "(2, 1, 28, 28)", 1000)),
                "1568 bytes",
                "1000"));
        cases.add(npz(
                "impossible shape",
                Map.of("input", npy("|u1", "(9223372036854775807, 1, 28, 28)", 10)),
                "impossible shape"));
        cases.add(npz(
                "header that is none",
                Map.of("input", "nonsense, not an array".getBytes(StandardCharsets.UTF_8)),
                "not a NumPy array"));
        cases.add(npz("an archive of nothing", Map.of(), "'input' is missing"));
        cases.add(new Case(
                "folder without images",
                4,
                (d, a) -> {
                    Files.createDirectory(d.resolve("images"));
                    a.put("--samples", d.resolve("images").toString());
                },
                "holds no images"));
        cases.add(new Case(
                "image that is none",
                4,
                (d, a) -> {
                    Files.createDirectory(d.resolve("images"));
                    Files.writeString(d.resolve("images/a.png"), "not a picture");
                    a.put("--samples", d.resolve("images").toString());
                },
                "a.png",
                "not an image"));
        cases.add(new Case(
                "image of another size",
                4,
                (d, a) -> {
                    Files.createDirectory(d.resolve("images"));
                    ImageIO.write(
                            new BufferedImage(30, 28, BufferedImage.TYPE_BYTE_GRAY),
                            "png",
                            d.resolve("images/a.png").toFile());
                    a.put("--samples", d.resolve("images").toString());
                },
                "a.png",
                "30 x 28",
                "28 x 28"));
    }

    private static void options(List<Case> cases) {
        cases.add(option("--batch-size", "0", 2, "batch size 0"));
        cases.add(option("--batch-size", "-3", 2, "batch size -3"));
        cases.add(option("--batch-size", "many", 2, "many"));
        cases.add(option("--limit", "0", 2, "limit of 0"));
        cases.add(option("--reference", "both", 2, "both"));
        cases.add(option("--device", "tpu", 2, "tpu"));
        cases.add(option("--device", "cuda:99", 3, "GPU", "use --device c"));
        cases.add(option("--std", "0", 2, "std 0"));
        cases.add(option("--scale", "0", 2, "scale 0"));
        cases.add(option("--mean", "0.1,0.2", 4, "mean and std"));
        cases.add(option("--include", "(", 2, "regular expression"));
        cases.add(option("--exclude", ".", 4, "no layer is left"));
        cases.add(option("--colour", "blue", 2, "--colour"));
        cases.add(new Case("required option missing", 2, (d, a) -> a.remove("--samples"), "--samples"));
    }

    private static void outputs(List<Case> cases) {
        cases.add(new Case(
                "output is the quantised model",
                2,
                (d, a) -> a.put("--output", d.resolve("q.onnx").toString()),
                "also an input"));
        cases.add(new Case(
                "output is the float model by a detour",
                2,
                (d, a) -> a.put("--output", d + "/../" + d.getFileName() + "/f.onnx"),
                "also an input"));
        cases.add(new Case(
                "output is a link to an input",
                2,
                (d, a) -> {
                    Files.createSymbolicLink(d.resolve("link.onnx"), d.resolve("q.onnx"));
                    a.put("--output", d.resolve("link.onnx").toString());
                    a.put("--force", "");
                },
                "also an input"));
        cases.add(new Case(
                "output is the samples",
                2,
                (d, a) -> a.put("--output", d.resolve("s.npz").toString()),
                "also an input"));
        cases.add(new Case(
                "output exists",
                2,
                (d, a) -> {
                    Files.writeString(d.resolve("there.onnx"), "precious");
                    a.put("--output", d.resolve("there.onnx").toString());
                },
                "exists already",
                "--force"));
        cases.add(new Case("output is a folder", 2, (d, a) -> a.put("--output", d.toString()), "is a folder"));
        cases.add(new Case(
                "output's folder missing",
                2,
                (d, a) -> a.put("--output", d.resolve("none/c.onnx").toString()),
                "does not exist"));
        cases.add(new Case(
                "output's folder not writable", 1, (d, a) -> a.put("--output", "/proc/c.onnx"), "/proc", "c.onnx"));
        cases.add(new Case(
                "report of unknown kind",
                2,
                (d, a) -> a.put("--report", d.resolve("r.pdf").toString()),
                "r.pdf",
                ".json"));
        cases.add(new Case(
                "report over an input",
                2,
                (d, a) -> {
                    Files.copy(d.resolve("s.npz"), d.resolve("s.json"));
                    a.put("--samples", d.resolve("s.json").toString());
                    a.put("--report", d.resolve("s.json").toString());
                },
                "also an input"));
        cases.add(new Case(
                "report over the output",
                2,
                (d, a) -> {
                    a.put("--output", d.resolve("x.json").toString());
                    a.put("--report", d.resolve("x.json").toString());
                },
                "x.json"));
    }

    private static void lessObvious(List<Case> cases) {
        cases.add(new Case(
                "output is the quantised model's external data",
                2,
                (d, a) -> {
                    Files.write(d.resolve("weights.bin"), new byte[144]);
                    external("weights.bin").apply(d, a);
                    a.put("--output", d.resolve("weights.bin").toString());
                    a.put("--force", "");
                },
                "weights.bin",
                "also an input"));
        cases.add(new Case(
                "output is one of the images",
                2,
                (d, a) -> {
                    Files.createDirectory(d.resolve("images"));
                    ImageIO.write(
                            new BufferedImage(28, 28, BufferedImage.TYPE_BYTE_GRAY),
                            "png",
                            d.resolve("images/a.png").toFile());
                    a.put("--samples", d.resolve("images").toString());
                    a.put("--output", d.resolve("images/a.png").toString());
                    a.put("--force", "");
                },
                "a.png",
                "also an input"));
        cases.add(option("--scale", "1e-40", 4, "Infinity", "scale, mean and std"));
        cases.add(new Case(
                "tensor that two nodes make",
                4,
                model(m -> m.getGraphBuilder().addNode(m.getGraphBuilder().getNode(4))),
                "two nodes with same node name"));
        cases.add(new Case(
                "padding of an unknown kind",
                4,
                attribute("auto_pad", a -> a.setS(ByteString.copyFromUtf8("SOMEHOW"))),
                "SOMEHOW",
                "q.onnx"));
        cases.add(new Case(
                "strides of zero", 4, attribute("strides", a -> a.addInts(0).addInts(0)), "strides [0, 0]", "q.onnx"));
        cases.add(new Case(
                "kernel_shape that is not the weights'",
                4,
                attribute("kernel_shape", a -> a.addInts(7).addInts(7)),
                "kernel_shape [7, 7]",
                "q.onnx"));
        cases.add(new Case("external data at an impossible path", 4, external("a\0b"), "impossible path"));
    }

    private static Breaking attribute(String name, Consumer<AttributeProto.Builder> value) {
        return model(m -> {
            NodeProto.Builder conv = m.getGraphBuilder().getNodeBuilderList().stream()
                    .filter(n -> n.getOpType().equals("Conv"))
                    .findFirst()
                    .orElseThrow();
            for (int i = conv.getAttributeCount() - 1; i >= 0; i--) {
                if (conv.getAttribute(i).getName().equals(name)) {
                    conv.removeAttribute(i);
                }
            }
            boolean text = name.equals("auto_pad");
            AttributeProto.Builder attribute = AttributeProto.newBuilder()
                    .setName(name)
                    .setType(text ? AttributeProto.AttributeType.STRING : AttributeProto.AttributeType.INTS);
            value.accept(attribute);
            conv.addAttribute(attribute);
        });
    }

    private static Case option(String option, String value, int exitCode, String... says) {
        return new Case(option + " " + value, exitCode, (d, a) -> a.put(option, value), says);
    }

    private static Breaking model(Consumer<ModelProto.Builder> change) {
        return (d, a) -> {
            ModelProto.Builder model = ModelProto.parseFrom(Files.readAllBytes(d.resolve("q.onnx"))).toBuilder();
            change.accept(model);
            Files.write(d.resolve("q.onnx"), model.build().toByteArray());
        };
    }

    private static Breaking external(String location) {
        return model(m -> m.getGraphBuilder().getInitializerBuilderList().stream()
                .filter(t -> t.getName().endsWith("_q8"))
                .findFirst()
                .orElseThrow()
                .clearRawData()
                .setDataLocation(TensorProto.DataLocation.EXTERNAL)
                .addExternalData(
                        StringStringEntryProto.newBuilder().setKey("location").setValue(location))
                .addExternalData(
                        StringStringEntryProto.newBuilder().setKey("length").setValue("144")));
    }

    private static Case npz(String name, Map<String, byte[]> arrays, String... says) {
        return new Case(
                name,
                4,
                (d, a) -> {
                    try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(d.resolve("s.npz")))) {
                        for (Map.Entry<String, byte[]> array : arrays.entrySet()) {
                            zip.putNextEntry(new ZipEntry(array.getKey() + ".npy"));
                            zip.write(array.getValue());
                        }
                    }
                },
                says);
    }

    private static byte[] npy(String dtype, String shape, int dataBytes) {
        String header = "{'descr': '" + dtype + "', 'fortran_order': False, 'shape': " + shape + ", }\n";
        ByteBuffer bytes = ByteBuffer.allocate(10 + header.length() + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
        bytes.put((byte) 0x93)
                .put("NUMPY".getBytes(StandardCharsets.US_ASCII))
                .put((byte) 1)
                .put((byte) 0);
        bytes.putShort((short) header.length()).put(header.getBytes(StandardCharsets.US_ASCII));
        return bytes.array();
    }

    private static byte[] floats(int samples, float value, int sample) {
        byte[] npy = npy("<f4", "(" + samples + ", 1, 28, 28)", samples * 3136);
        ByteBuffer.wrap(npy)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putFloat(npy.length - (samples - sample) * 3136 + 40, value);
        return npy;
    }

    private static void cut(Path file, double share) throws IOException {
        byte[] bytes = Files.readAllBytes(file);
        Files.write(file, Arrays.copyOf(bytes, (int) (bytes.length * share)));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    void badInputGivesOneClearLineAndTheDocumentedExitCode(Case badInput) throws IOException {
        Path work = Files.createDirectory(folder.resolve("work"));
        Files.copy(Path.of("examples/fashion/float.onnx"), work.resolve("f.onnx"));
        Files.copy(Path.of("examples/fashion/w3a8.onnx"), work.resolve("q.onnx"));
        Files.copy(Path.of("examples/fashion/calibration.npz"), work.resolve("s.npz"));
        Map<String, String> arguments = new TreeMap<>(Map.of(
                "--float", work.resolve("f.onnx").toString(),
                "--quantized", work.resolve("q.onnx").toString(),
                "--samples", work.resolve("s.npz").toString(),
                "--output", work.resolve("c.onnx").toString(),
                "--limit", "4",
                "--scale", "255"));
        badInput.breaking().apply(work, arguments);
        Map<String, String> before = contents(work);
        List<String> command = new ArrayList<>(List.of("correct"));
        arguments.forEach((option, value) -> {
            command.add(option);
            if (!value.isEmpty()) {
                command.add(value);
            }
        });

        CommandLineRun.Captured run = CommandLineRun.captured(command.toArray(String[]::new));
        int exitCode = run.exitCode();
        String said = run.err();
        System.out.println(badInput + " -> " + exitCode + " " + said.strip());

        assertThat(said.strip().lines()).as(said).hasSize(1);
        assertThat(said)
                .startsWith("rebias: ")
                .contains(badInput.says())
                .doesNotContain("\tat ", "internal error", "Exception", "null");
        assertThat(exitCode).as(said).isEqualTo(badInput.exitCode());
        assertThat(contents(work)).as("files before and after").isEqualTo(before);
    }

    /** Every file below a folder, with a digest of what is in it. */
    private static Map<String, String> contents(Path folder) throws IOException {
        Map<String, String> contents = new TreeMap<>();
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.toList()) {
                contents.put(
                        file.toString(),
                        Files.isRegularFile(file)
                                ? Integer.toString(Arrays.hashCode(Files.readAllBytes(file)))
                                : "folder");
            }
        }
        return contents;
    }
}
