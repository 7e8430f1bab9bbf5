package dev.rebias.fuzz;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.AttributeProto.AttributeType;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import com.google.protobuf.ByteString;
import dev.rebias.cli.CommandLineRun;
import dev.rebias.device.TestDevices;
import dev.rebias.oracle.ToyPairs;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The kinds of model that once killed the process, hung it, read beyond a tensor or gave a stack trace: each is refused
 * in one sentence, on every device, or corrected where it is legal.
 */
@Tag("cuda")
final class HostileModelTest {
    @TempDir
    Path folder;

    private record Kind(String name, Consumer<GraphProto.Builder> change) {
        @Override
        public String toString() {
            return name;
        }
    }

    private static Kind layer(String name, AttributeProto... attributes) {
        return new Kind(name, g -> {
            NodeProto.Builder conv = g.getNodeBuilderList().stream()
                    .filter(n -> n.getOpType().equals("Conv"))
                    .findFirst()
                    .orElseThrow();
            for (AttributeProto attribute : attributes) {
                for (int i = conv.getAttributeCount() - 1; i >= 0; i--) {
                    if (conv.getAttribute(i).getName().equals(attribute.getName())) {
                        conv.removeAttribute(i);
                    }
                }
                conv.addAttribute(attribute);
            }
        });
    }

    /** A node between c1 and whoever uses it. */
    private static Kind behind(String name, NodeProto node, TensorProto... tensors) {
        return new Kind(name, g -> {
            for (int i = 0; i < g.getNodeCount(); i++) {
                NodeProto.Builder other = g.getNodeBuilder(i);
                for (int k = 0; k < other.getInputCount(); k++) {
                    if (other.getInput(k).equals("c1")) {
                        other.setInput(k, "put");
                    }
                }
            }
            int at = 0;
            while (!g.getNode(at).getOutputList().contains("c1")) {
                at++;
            }
            g.addNode(at + 1, node.toBuilder().setName("put").addOutput("put"));
            g.addAllInitializer(List.of(tensors));
        });
    }

    private static NodeProto node(String type, List<String> inputs, AttributeProto... attributes) {
        return NodeProto.newBuilder()
                .setOpType(type)
                .addAllInput(inputs)
                .addAllAttribute(List.of(attributes))
                .build();
    }

    private static AttributeProto list(String name, long... values) {
        AttributeProto.Builder attribute =
                AttributeProto.newBuilder().setName(name).setType(AttributeType.INTS);
        for (long v : values) {
            attribute.addInts(v);
        }
        return attribute.build();
    }

    private static AttributeProto integer(String name, long value) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeType.INT)
                .setI(value)
                .build();
    }

    private static TensorProto integers(String name, long... values) {
        TensorProto.Builder t =
                TensorProto.newBuilder().setName(name).setDataType(7).addDims(values.length);
        for (long v : values) {
            t.addInt64Data(v);
        }
        return t.build();
    }

    private static TensorProto scalar(String name, long value) {
        return integers(name, value).toBuilder().clearDims().build();
    }

    private static TensorProto yes(String name) {
        return TensorProto.newBuilder()
                .setName(name)
                .setDataType(9)
                .addInt32Data(1)
                .build();
    }

    /** A body that hands its condition and its one value through. */
    private static AttributeProto loop() {
        GraphProto.Builder body = GraphProto.newBuilder()
                .setName("body")
                .addNode(node("Identity", List.of("on")).toBuilder().addOutput("still"))
                .addNode(node("Identity", List.of("v")).toBuilder().addOutput("w"));
        body.addInput(value("turn", 7)).addInput(value("on", 9)).addInput(value("v", 1));
        body.addOutput(value("still", 9)).addOutput(value("w", 1));
        return AttributeProto.newBuilder()
                .setName("body")
                .setType(AttributeType.GRAPH)
                .setG(body)
                .build();
    }

    private static ValueInfoProto value(String name, int type) {
        ValueInfoProto.Builder value = ValueInfoProto.newBuilder().setName(name);
        value.getTypeBuilder().getTensorTypeBuilder().setElemType(type);
        return value.build();
    }

    private static TensorProto floats(String name, long[] dims) {
        TensorProto.Builder t = TensorProto.newBuilder().setName(name).setDataType(1);
        long n = 1;
        for (long d : dims) {
            t.addDims(d);
            n *= d;
        }
        for (int i = 0; i < n; i++) {
            t.addFloatData(1);
        }
        return t.build();
    }

    private static Kind slicedNothing() {
        Kind slice = behind(
                "",
                node("Slice", List.of("nothing", "b", "b", "a", "t")),
                integers("b", 3),
                integers("a", 2),
                integers("t", -1));
        return new Kind("a Slice of what an Expand to nothing makes", g -> {
            slice.change().accept(g);
            int at = 0;
            while (!g.getNode(at).getOutputList().contains("c1")) {
                at++;
            }
            g.addNode(at + 1, node("Expand", List.of("c1", "size")).toBuilder().addOutput("nothing"));
            g.addInitializer(integers("size", 1, 1, 0, 1));
        });
    }

    static Stream<Arguments> refused() {
        List<Kind> kinds = new ArrayList<>(List.of(
                layer("negative pads", list("pads", -2, -2, 1, 2)),
                layer("pads that fill the memory", list("pads", 1, 1, 1 << 24, 1)),
                layer("pads beyond 32 bits", list("pads", 0, 1L << 33, 0, 0)),
                layer("stride 2^32", list("strides", 1, 1L << 32)),
                layer("dilation 0", list("dilations", 0, 1)),
                layer("group 0", integer("group", 0)),
                layer("group -2", integer("group", -2)),
                layer("group that does not divide", integer("group", 2)),
                layer("unknown attribute", integer("unheard_of", 1)),
                layer("attribute of another type", list("group", 1)),
                layer(
                        "padding of an unknown kind",
                        AttributeProto.newBuilder()
                                .setName("auto_pad")
                                .setType(AttributeType.STRING)
                                .setS(ByteString.copyFromUtf8("SOMEHOW"))
                                .build()),
                behind(
                        "output_shape a stride beyond the natural one",
                        node("ConvTranspose", List.of("c1", "k"), list("strides", 2, 2), list("output_shape", 12, 14)),
                        floats("k", new long[] {5, 5, 2, 2})),
                behind("axis twice in perm", node("Transpose", List.of("c1"), list("perm", 0, 1, 1, 2))),
                behind("perm of another rank", node("Transpose", List.of("c1"), list("perm", 1, 0))),
                behind("axis INT_MAX", node("Flatten", List.of("c1"), integer("axis", Integer.MAX_VALUE))),
                behind("no axes", node("Unsqueeze", List.of("c1"))),
                behind("extra empty inputs", node("Relu", List.of("c1", "", ""))),
                behind(
                        "empty operand of another rank",
                        node("Concat", List.of("c1", "k"), integer("axis", 3)),
                        floats("k", new long[] {6, 3, 0})),
                behind(
                        "unequal dimensions",
                        node("Concat", List.of("c1", "k"), integer("axis", 1)),
                        floats("k", new long[] {1, 5, 4, 6})),
                behind("two scales for four axes", node("Resize", List.of("c1", "", "s")), floats("s", new long[] {2})),
                behind(
                        "no value to pad with",
                        node("Pad", List.of("c1", "p", "v")),
                        integers("p", 0, 0, 1, 1, 0, 0, 1, 1),
                        floats("v", new long[] {0})),
                behind(
                        "Slice of a size that is negative",
                        node("Slice", List.of("c1", "b", "e", "a", "t")),
                        integers("b", 9),
                        integers("e", Long.MIN_VALUE),
                        integers("a", -9),
                        integers("t", -1)),
                behind(
                        "Expand to a negative size",
                        node("Expand", List.of("c1", "size")),
                        integers("size", -1, 1, -1, 3)),
                behind(
                        "Tile a negative number of times",
                        node("Tile", List.of("c1", "size")),
                        integers("size", 1, 1, -1, 1)),
                slicedNothing(),
                behind("Max of an input that is left out", node("Max", List.of("c1", ""))),
                behind("Mean of inputs that are left out", node("Mean", List.of("c1", "c1", "", ""))),
                behind("Sum that begins with one that is left out", node("Sum", List.of("", "c1"))),
                behind("Concat with one that is left out", node("Concat", List.of("c1", "", "c1"), integer("axis", 1))),
                behind(
                        "a layer of no samples",
                        node("Slice", List.of("c1", "b", "e")),
                        integers("b", 0),
                        integers("e", 0)),
                behind(
                        "a loop that never ends",
                        node("Loop", List.of("turns", "", "c1"), loop()),
                        scalar("turns", 1L << 62)),
                behind(
                        "a loop whose condition is always true",
                        node("Loop", List.of("", "true", "c1"), loop()),
                        yes("true")),
                behind(
                        "index beyond the axis",
                        node("Gather", List.of("c1", "i"), integer("axis", 2)),
                        integers("i", 77)),
                behind(
                        "parameters of different lengths",
                        node("BatchNormalization", List.of("c1", "n4", "n5", "n4", "n4")),
                        floats("n4", new long[] {4}),
                        floats("n5", new long[] {5})),
                behind(
                        "scales per channel that do not fit",
                        node("QuantizeLinear", List.of("c1", "s")),
                        floats("s", new long[] {3}))));
        for (int type : new int[] {2, 3, 7, 9, 10, 11, 16}) {
            kinds.add(behind("a layer on type " + type, node("Cast", List.of("c1"), integer("to", type))));
        }
        return TestDevices.names().stream().flatMap(d -> kinds.stream().map(k -> Arguments.of(d, k)));
    }

    @ParameterizedTest(name = "{0}: {1}")
    @MethodSource("refused")
    void modelsThatCannotRunAreRefusedInOneSentence(String device, Kind kind) throws Exception {
        for (boolean open : new boolean[] {false, true}) {
            Path work = Files.createDirectory(folder.resolve(open ? "open" : "fixed"));
            String said = correct(device, kind, open, work, 4);
            assertThat(said.strip().lines()).as(said).hasSize(1);
            assertThat(said).startsWith("rebias: ").doesNotContain("internal error");
            assertThat(said.length()).isLessThan(900);
            try (Stream<Path> files = Files.list(work)) {
                assertThat(files.map(f -> f.getFileName().toString()))
                        .containsExactlyInAnyOrder("f.onnx", "q.onnx", "s.npz");
            }
        }
    }

    static Stream<Arguments> legal() {
        List<Kind> kinds = new ArrayList<>();
        for (long size : new long[] {9, 10, 11, 12}) {
            kinds.add(behind(
                    "output_shape " + size + " of a natural 12",
                    node(
                            "ConvTranspose",
                            List.of("c1", "k"),
                            list("strides", 2, 2),
                            list("output_shape", size, size + 1)),
                    floats("k", new long[] {5, 5, 2, 2})));
        }
        return TestDevices.names().stream().flatMap(d -> kinds.stream().map(k -> Arguments.of(d, k)));
    }

    @ParameterizedTest(name = "{0}: {1}")
    @MethodSource("legal")
    void whatIsLegalIsCorrectedAsOnnxRuntimeComputesIt(String device, Kind kind) throws Exception {
        correct(device, kind, false, folder, 0, "--verify", "--reference", "network");
    }

    /** Corrects a small network with the change in both models; gives what is said on stderr. */
    private static String correct(String device, Kind kind, boolean open, Path work, int exitCode, String... options)
            throws Exception {
        ToyPairs.Pair pair = ToyPairs.all().stream()
                .filter(p -> p.name().equals("CHAIN"))
                .findFirst()
                .orElseThrow();
        Files.write(work.resolve("f.onnx"), changed(pair.floating(), kind, open));
        Files.write(work.resolve("q.onnx"), changed(pair.quantized(), kind, open));
        Files.write(work.resolve("s.npz"), FuzzInput.npz(pair.samples()));
        List<String> command = new ArrayList<>(List.of(
                "correct",
                "--float",
                work.resolve("f.onnx").toString(),
                "--quantized",
                work.resolve("q.onnx").toString(),
                "--samples",
                work.resolve("s.npz").toString(),
                "--output",
                work.resolve("c.onnx").toString(),
                "--quiet",
                "--device",
                device));
        command.addAll(List.of(options));
        CommandLineRun.Captured run = CommandLineRun.captured(command.toArray(String[]::new));
        assertThat(run.exitCode()).as(run::err).isEqualTo(exitCode);
        return run.err();
    }

    private static byte[] changed(ModelProto model, Kind kind, boolean open) {
        ModelProto.Builder builder = (open ? FuzzInput.open(model) : model).toBuilder();
        kind.change().accept(builder.getGraphBuilder());
        return builder.build().toByteArray();
    }
}
