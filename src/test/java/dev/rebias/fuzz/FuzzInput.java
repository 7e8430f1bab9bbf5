package dev.rebias.fuzz;

import ai.onnx.proto.OnnxMl.ModelProto;
import dev.rebias.oracle.OperationPairs;
import dev.rebias.oracle.ToyPairs;
import dev.rebias.tensor.HostTensor;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import javax.imageio.ImageIO;

/** The files and the command line of one case, which follow from its number and the run's seed alone. */
final class FuzzInput {
    private static final List<ToyPairs.Pair> PAIRS = ToyPairs.all();

    /** How many of 100 cases are of what kind; the others are changed models. */
    private static final int MODEL_BYTES = 10;

    private static final int SAMPLES = 8;
    private static final int KERAS = 5;
    private static final int OPERATIONS = 25;
    /** From here on, with the operations left out, a bundled example is what is changed. */
    private static final int BUNDLED = 72;

    private final RandomGenerator random;
    private final Path folder;
    private final String device;

    private FuzzInput(RandomGenerator random, Path folder, String device) {
        this.random = random;
        this.folder = folder;
        this.device = device;
    }

    /** The case of that number; the same for every machine. */
    static List<String> write(long seed, int number, Path folder, String device) throws IOException {
        // Numbers next to each other must not give random numbers that look alike.
        long mixed = (seed ^ (number * 0x9E3779B97F4A7C15L)) * 0xBF58476D1CE4E5B9L;
        return new FuzzInput(new Random(mixed ^ (mixed >>> 31)), folder, device).write(number);
    }

    private List<String> write(int number) throws IOException {
        int kind = random.nextInt(100);
        if (kind < KERAS) {
            return keras();
        }
        if (kind < KERAS + OPERATIONS) {
            return operation(number);
        }
        kind -= OPERATIONS;
        boolean bundled = kind >= BUNDLED;
        ToyPairs.Pair pair = PAIRS.get(random.nextInt(PAIRS.size()));
        ModelProto floating = bundled ? bundled("float.onnx") : pair.floating();
        ModelProto quantized = bundled ? bundled("w3a8.onnx") : pair.quantized();
        if (bundled) {
            Files.copy(Path.of("examples/fashion/calibration.npz"), folder.resolve("s.npz"));
        } else {
            Files.write(folder.resolve("s.npz"), npz(pair.samples()));
        }
        Path samples = folder.resolve("s.npz");
        if (kind < KERAS + SAMPLES) {
            return models(floating.toByteArray(), quantized.toByteArray(), damagedSamples(samples), bundled);
        }
        if (kind < KERAS + SAMPLES + MODEL_BYTES) {
            boolean first = random.nextBoolean();
            return models(
                    first ? damaged(floating) : floating.toByteArray(),
                    first ? quantized.toByteArray() : damaged(quantized),
                    samples,
                    bundled);
        }
        return changed(floating, quantized, number, 1 + random.nextInt(2), samples, bundled);
    }

    /** Both models with so many changes, mostly the same ones. */
    private List<String> changed(
            ModelProto floating, ModelProto quantized, int number, int changes, Path samples, boolean bundled)
            throws IOException {
        Set<String> shared = shared(floating, quantized);
        ModelProto f = floating;
        ModelProto q = quantized;
        if (random.nextInt(5) < 2) {
            // Where sizes are open, what does not fit shows only when it runs.
            f = open(f);
            q = open(q);
        }
        boolean both = random.nextInt(4) > 0;
        for (int i = 0; i < changes; i++) {
            long own = random.nextLong();
            q = ModelMutator.mutate(new Random(own), q, number % 1000 * 10 + i, shared);
            if (both) {
                f = ModelMutator.mutate(new Random(own), f, number % 1000 * 10 + i, shared);
            }
        }
        return models(f.toByteArray(), q.toByteArray(), samples, bundled);
    }

    private List<String> models(byte[] floating, byte[] quantized, Path samples, boolean bundled) throws IOException {
        Files.write(folder.resolve("f.onnx"), floating);
        Files.write(folder.resolve("q.onnx"), quantized);
        List<String> command = command("q.onnx", samples, bundled);
        command.addAll(List.of("--float", folder.resolve("f.onnx").toString()));
        return command;
    }

    /** One operation of any kind in front of a layer, as it is or changed. */
    private List<String> operation(int number) throws IOException {
        OperationPairs.Pair pair = OperationPairs.of(random.nextInt(1 << 30));
        Path samples = folder.resolve("s.npz");
        Files.write(samples, npzOf(pair.samples()));
        return changed(pair.floating(), pair.quantized(), number, random.nextInt(3), samples, false);
    }

    private List<String> command(String quantized, Path samples, boolean bundled) {
        List<String> command = new ArrayList<>(List.of(
                "correct",
                "--quantized",
                folder.resolve(quantized).toString(),
                "--samples",
                samples.toString(),
                "--output",
                folder.resolve(quantized.endsWith(".h5") ? "c.h5" : "c.onnx").toString(),
                "--report",
                folder.resolve("r.json").toString(),
                "--device",
                device,
                "--limit",
                "3"));
        if (bundled) {
            command.addAll(List.of("--scale", "255"));
        }
        List<List<String>> options = List.of(
                List.of("--reference", "network"),
                List.of("--no-mse"),
                List.of("--memory-limit", "1k"),
                List.of("--per-channel"),
                List.of("--batch-size", "1"),
                List.of("--verify"),
                List.of("--quiet"));
        options.stream().filter(o -> random.nextInt(4) == 0).forEach(command::addAll);
        if (command.contains("--per-channel")) {
            command.remove("--no-mse");
        }
        return command;
    }

    private static ModelProto bundled(String name) throws IOException {
        return ModelProto.parseFrom(Files.readAllBytes(Path.of("examples/fashion", name)));
    }

    /** With no size of an input fixed. */
    static ModelProto open(ModelProto model) {
        ModelProto.Builder opened = model.toBuilder();
        opened.getGraphBuilder().getInputBuilderList().forEach(i -> i.getTypeBuilder()
                .getTensorTypeBuilder()
                .getShapeBuilder()
                .getDimBuilderList()
                .forEach(d -> d.setDimParam("")));
        return opened.build();
    }

    /** The names of the tensors that nodes of both models make. */
    private static Set<String> shared(ModelProto a, ModelProto b) {
        Set<String> names = new HashSet<>();
        a.getGraph().getNodeList().forEach(n -> names.addAll(n.getOutputList()));
        Set<String> others = new HashSet<>();
        b.getGraph().getNodeList().forEach(n -> others.addAll(n.getOutputList()));
        names.retainAll(others);
        return names;
    }

    private byte[] damaged(ModelProto model) {
        byte[] bytes = model.toByteArray();
        return ByteMutator.damage(random, bytes, bytes.length);
    }

    private static String header(String type, String order, int... shape) {
        String sizes = Arrays.stream(shape).mapToObj(Integer::toString).collect(Collectors.joining(", "));
        return "{'descr': '" + type + "', 'fortran_order': " + order + ", 'shape': (" + sizes
                + (shape.length == 1 ? ",)" : ")") + ", }\n";
    }

    private static byte[] npy(String header, byte[] values) {
        ByteBuffer bytes =
                ByteBuffer.allocate(10 + header.length() + values.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.put("\u0093NUMPY".getBytes(StandardCharsets.ISO_8859_1))
                .put((byte) 1)
                .put((byte) 0);
        bytes.putShort((short) header.length()).put(header.getBytes(StandardCharsets.US_ASCII));
        return bytes.put(values).array();
    }

    private static byte[] values(ToyPairs.Samples samples) {
        ByteBuffer bytes =
                ByteBuffer.allocate(samples.values().length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (double v : samples.values()) {
            bytes.putFloat((float) v);
        }
        return bytes.array();
    }

    static byte[] npz(Map<String, ToyPairs.Samples> samples) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(out)) {
            for (Map.Entry<String, ToyPairs.Samples> one : samples.entrySet()) {
                zip.putNextEntry(new ZipEntry(one.getKey() + ".npy"));
                zip.write(npy(header("<f4", "False", one.getValue().shape()), values(one.getValue())));
            }
        }
        return out.toByteArray();
    }

    private static byte[] npzOf(Map<String, HostTensor> samples) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(out)) {
            for (Map.Entry<String, HostTensor> one : samples.entrySet()) {
                HostTensor t = one.getValue();
                byte[] values = new byte[t.bytes().remaining()];
                t.bytes().get(values);
                String type =
                        switch (t.type()) {
                            case FLOAT -> "<f4";
                            case DOUBLE -> "<f8";
                            case INT64 -> "<i8";
                            case INT32 -> "<i4";
                            case INT8 -> "|i1";
                            case BOOL -> "|b1";
                            default -> "|u1";
                        };
                int[] shape =
                        Arrays.stream(t.shape()).mapToInt(Math::toIntExact).toArray();
                zip.putNextEntry(new ZipEntry(one.getKey() + ".npy"));
                zip.write(npy(header(type, "False", shape), values));
            }
        }
        return out.toByteArray();
    }

    /** Samples that are broken in one of many ways, in place of those that are right. */
    private Path damagedSamples(Path whole) throws IOException {
        byte[] bytes = Files.readAllBytes(whole);
        switch (random.nextInt(4)) {
            case 0 -> Files.write(whole, ByteMutator.damage(random, bytes, 64));
            case 1 -> Files.write(whole, ByteMutator.damage(random, bytes, bytes.length));
            case 2 -> {
                Files.delete(whole);
                Path npy = folder.resolve("s.npy");
                String[] types = {"<f4", "<f8", "|u1", "<i8", ">f4", "|O", "<c8", "|b1", "<f2", "<U4"};
                int[] shape = new int[random.nextInt(6)];
                for (int i = 0; i < shape.length; i++) {
                    shape[i] = random.nextInt(6) == 0 ? random.nextInt() : random.nextInt(7);
                }
                String header =
                        header(types[random.nextInt(types.length)], random.nextBoolean() ? "False" : "True", shape);
                byte[] array = npy(header, new byte[random.nextInt(2000)]);
                Files.write(npy, random.nextBoolean() ? array : ByteMutator.damage(random, array, 80));
                return npy;
            }
            default -> {
                Files.delete(whole);
                Path images = Files.createDirectory(folder.resolve("images"));
                String format = List.of("png", "bmp", "gif", "jpg").get(random.nextInt(4));
                ByteArrayOutputStream image = new ByteArrayOutputStream();
                ImageIO.write(
                        new java.awt.image.BufferedImage(6, 5, java.awt.image.BufferedImage.TYPE_INT_RGB),
                        format,
                        image);
                for (int i = 0; i < 2; i++) {
                    Files.write(images.resolve(i + "." + format), ByteMutator.damage(random, image.toByteArray(), 60));
                }
                return images;
            }
        }
        return whole;
    }

    private List<String> keras() throws IOException {
        byte[] model = Files.readAllBytes(Path.of("examples/keras/w3a4.h5"));
        Files.write(folder.resolve("q.h5"), ByteMutator.damage(random, model, random.nextBoolean() ? 4096 : 40_000));
        Files.copy(Path.of("examples/keras/calibration.npz"), folder.resolve("s.npz"));
        return command("q.h5", folder.resolve("s.npz"), true);
    }
}
