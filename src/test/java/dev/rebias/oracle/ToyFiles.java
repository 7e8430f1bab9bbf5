package dev.rebias.oracle;

import static dev.rebias.oracle.GraphBuilder.integer;
import static dev.rebias.oracle.GraphBuilder.list;

import ai.onnx.proto.OnnxMl.ModelProto;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** A small pair of models with samples, as files: one of each kind of layer, and what lies between. */
public final class ToyFiles {
    private static final int SAMPLES = 3;

    private ToyFiles() {}

    /** Writes {@code float.onnx}, {@code quantized.onnx} and {@code samples.npy} into a folder. */
    public static void write(Path folder) throws IOException {
        GraphBuilder g = new GraphBuilder(3).opset(13);
        String x = g.input("x", 3, 6, 5);
        String a = g.node(
                "Conv",
                "a",
                List.of(x, g.weights("wa", 0.5, 4, 3, 3, 3), g.weights("ba", 0.3, 4)),
                list("pads", 0, 1, 1, 1));
        String r = g.node("Relu", "r", List.of(a));
        String b = g.node(
                "Conv",
                "b",
                List.of(r, g.weights("wb", 0.5, 4, 1, 3, 3), g.weights("bb", 0.3, 4)),
                integer("group", 4),
                list("pads", 1, 1, 1, 1));
        String t = g.node(
                "ConvTranspose",
                "t",
                List.of(
                        g.node("MaxPool", "p", List.of(b), list("kernel_shape", 2, 2)),
                        g.weights("wt", 0.5, 4, 2, 2, 2)),
                list("strides", 2, 2));
        String m = g.node("GlobalAveragePool", "m", List.of(t));
        String f = g.node("Flatten", "f", List.of(m));
        g.node("Gemm", "y", List.of(f, g.weights("wy", 0.5, 2, 5), g.weights("by", 0.3, 5)));
        ModelProto floating = g.build("y");
        Map<String, NaiveTensor> samples = Toy.samples(floating, SAMPLES, 9);
        QdqWriter.Scheme scheme = new QdqWriter.Scheme(4, true, true, false, false);
        Files.write(folder.resolve("float.onnx"), floating.toByteArray());
        Files.write(
                folder.resolve("quantized.onnx"),
                QdqWriter.write(floating, scheme, samples).toByteArray());
        writeNpy(folder.resolve("samples.npy"), samples.get("x"));
    }

    /**
     * A command on the files in such a folder.
     *
     * @param more arguments behind the models and the samples
     */
    public static String[] command(String name, Path folder, String... more) {
        List<String> arguments = new ArrayList<>(List.of(
                name,
                "--float",
                folder.resolve("float.onnx").toString(),
                "--quantized",
                folder.resolve("quantized.onnx").toString(),
                "--samples",
                folder.resolve("samples.npy").toString()));
        arguments.addAll(List.of(more));
        return arguments.toArray(String[]::new);
    }

    /**
     * Writes a pair in which the second layer's bias makes up for the first one's being wrong: correcting the first
     * layer, {@code a_node}, alone makes the network worse.
     */
    public static void writeCompensating(Path folder) throws IOException {
        NaiveTensor samples = Toy.samples(compensating(0), 16, 9).get("x");
        Files.write(folder.resolve("float.onnx"), compensating(0).toByteArray());
        Files.write(folder.resolve("quantized.onnx"), compensating(0.5f).toByteArray());
        writeNpy(folder.resolve("samples.npy"), samples);
    }

    /** Two layers, with an error in the first one's bias that the second one's takes back. */
    private static ModelProto compensating(float error) {
        GraphBuilder g = new GraphBuilder(3);
        String x = g.input("x", 2, 4, 4);
        int[] square = {2, 2, 1, 1};
        int[] two = {2};
        float rounding = error / 100;
        String first = g.floats("wa", square, 1, 0.5f + rounding, -0.5f, 1);
        String a = g.node("Conv", "a", List.of(x, first, g.floats("ba", two, 0.25f + error, error)));
        String second = g.floats("wb", square, 1, 0, rounding, 1);
        g.node("Conv", "y", List.of(a, second, g.floats("bb", two, -error, 0.5f - error)));
        return g.build("y");
    }

    /** A .npy of version 1: magic, header padded to a multiple of 64 bytes, little-endian floats. */
    private static void writeNpy(Path file, NaiveTensor t) throws IOException {
        StringBuilder shape = new StringBuilder();
        for (int d : t.shape()) {
            shape.append(d).append(", ");
        }
        String text = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + shape + "), }";
        int length = (10 + text.length() + 1 + 63) / 64 * 64 - 10;
        String header = text + " ".repeat(length - text.length() - 1) + "\n";
        ByteBuffer bytes = ByteBuffer.allocate(10 + length + Float.BYTES * t.values().length)
                .order(ByteOrder.LITTLE_ENDIAN);
        bytes.put((byte) 0x93)
                .put("NUMPY".getBytes(StandardCharsets.US_ASCII))
                .put((byte) 1)
                .put((byte) 0);
        bytes.putShort((short) length).put(header.getBytes(StandardCharsets.US_ASCII));
        for (double v : t.values()) {
            bytes.putFloat((float) v);
        }
        Files.write(file, bytes.array());
    }
}
