package dev.rebias.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.StringStringEntryProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import com.google.protobuf.ByteString;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Where external data are read from, and where they go. */
final class ExternalDataTest {
    private static final byte[] SECRET = "do not read!".getBytes(java.nio.charset.StandardCharsets.US_ASCII);

    @TempDir
    Path folder;

    private Path in;
    private Path out;

    @BeforeEach
    void makeFolders() throws IOException {
        in = Files.createDirectory(folder.resolve("in"));
        out = Files.createDirectory(folder.resolve("out"));
        Files.write(folder.resolve("secret"), SECRET);
    }

    private static TensorProto tensor(String name, String location, long offset, long length) {
        TensorProto.Builder t = TensorProto.newBuilder()
                .setName(name)
                .setDataType(TensorProto.DataType.UINT8_VALUE)
                .addDims(length)
                .setDataLocation(TensorProto.DataLocation.EXTERNAL)
                .addExternalData(entry("location", location));
        if (offset >= 0) {
            t.addExternalData(entry("offset", Long.toString(offset)))
                    .addExternalData(entry("length", Long.toString(length)));
        }
        return t.addExternalData(entry("checksum", "0123")).build();
    }

    private static StringStringEntryProto entry(String key, String value) {
        return StringStringEntryProto.newBuilder().setKey(key).setValue(value).build();
    }

    /** A model with these tensors: initializers, and the last one in a Constant of a branch. */
    private OnnxModel model(TensorProto... tensors) throws IOException {
        GraphProto.Builder graph = GraphProto.newBuilder();
        for (int i = 0; i + 1 < tensors.length; i++) {
            graph.addInitializer(tensors[i]);
        }
        NodeProto constant = NodeProto.newBuilder()
                .setOpType("Constant")
                .addOutput("k")
                .addAttribute(AttributeProto.newBuilder().setName("value").setT(tensors[tensors.length - 1]))
                .build();
        graph.addNode(NodeProto.newBuilder()
                .setOpType("If")
                .addInput("c")
                .addOutput("y")
                .addAttribute(AttributeProto.newBuilder()
                        .setName("then_branch")
                        .setG(GraphProto.newBuilder().addNode(constant))));
        ModelProto proto = ModelProto.newBuilder()
                .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(13))
                .setGraph(graph)
                .build();
        return OnnxModel.read(Files.write(in.resolve("q.onnx"), proto.toByteArray()));
    }

    private static List<TensorProto> tensors(OnnxModel model) {
        GraphProto graph = model.proto().getGraph();
        List<TensorProto> all = new java.util.ArrayList<>(graph.getInitializerList());
        all.add(graph.getNode(0)
                .getAttribute(0)
                .getG()
                .getNode(0)
                .getAttribute(0)
                .getT());
        return all;
    }

    private static byte[] bytes(OnnxModel model, int tensor) {
        return new ExternalData(model)
                .load(tensors(model).get(tensor))
                .getRawData()
                .toByteArray();
    }

    private Set<String> written() throws IOException {
        try (Stream<Path> files = Files.walk(out)) {
            return new TreeSet<>(files.filter(f -> !f.equals(out))
                    .map(f -> out.relativize(f).toString())
                    .toList());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {".bash_profile", ".config/autostart/x.desktop", "q.onnx.data", "weights.bin", "a b\nc"})
    void dataGoIntoOneFileNamedAfterTheOutputWhateverTheModelCallsThem(String location) throws IOException {
        Files.createDirectories(in.resolve(location).getParent());
        Files.write(in.resolve(location), new byte[] {1, 2, 3, 4, 5, 6});
        Files.write(in.resolve("other"), new byte[] {7, 8, 9});
        OnnxModel model = model(
                tensor("a", location, 0, 4),
                tensor("b", location, 2, 4),
                tensor("c", "other", -1, 3),
                tensor("d", "other", 1, 1));
        ModelFile file = ModelFile.check(model, out.resolve("c.onnx"), List.of(), false);
        assertThat(file.paths()).containsExactly(out.resolve("c.onnx"), out.resolve("c.onnx.data"));
        file.write(model);
        assertThat(written()).containsExactly("c.onnx", "c.onnx.data");

        OnnxModel back = OnnxModel.read(out.resolve("c.onnx"));
        assertThat(back.externalFiles())
                .containsExactly(out.resolve("c.onnx.data").toRealPath());
        assertThat(bytes(back, 0)).containsExactly(1, 2, 3, 4);
        assertThat(bytes(back, 1)).containsExactly(3, 4, 5, 6);
        assertThat(bytes(back, 2)).containsExactly(7, 8, 9);
        assertThat(bytes(back, 3)).containsExactly(8);
        assertThat(tensors(back)).allMatch(t -> t.getExternalDataList().stream()
                .noneMatch(e -> e.getKey().equals("checksum")));
    }

    @Test
    void tensorsThatShareTheirBytesAreNotMultiplied() throws IOException {
        Files.write(in.resolve("w"), new byte[1 << 20]);
        TensorProto[] many = new TensorProto[500];
        for (int i = 0; i < many.length; i++) {
            many[i] = tensor("t" + i, "w", i, (1 << 20) - i);
        }
        OnnxModel model = model(many);
        ModelFile.check(model, out.resolve("c.onnx"), List.of(), false).write(model);
        assertThat(Files.size(out.resolve("c.onnx.data"))).isEqualTo(1 << 20);
    }

    @Test
    void dataThatTheCorrectionTookIntoTheModelNeedNoFile() throws IOException {
        Files.write(in.resolve("w"), new byte[8]);
        OnnxModel model = model(tensor("a", "w", 0, 8));
        ModelFile file = ModelFile.check(model, out.resolve("c.onnx"), List.of(), false);
        ModelProto.Builder inside = model.proto().toBuilder();
        inside.getGraphBuilder()
                .getNodeBuilder(0)
                .getAttributeBuilder(0)
                .getGBuilder()
                .getNodeBuilder(0)
                .getAttributeBuilder(0)
                .setT(TensorProto.newBuilder().setRawData(ByteString.copyFrom(new byte[8])));
        file.write(model.corrected(inside.build()));
        assertThat(written()).containsExactly("c.onnx");
    }

    @Test
    void theDataFileIsAnOutputLikeAnyOther() throws IOException {
        Files.write(in.resolve("w"), new byte[8]);
        OnnxModel model = model(tensor("a", "w", 0, 8));
        Files.write(out.resolve("c.onnx.data"), SECRET);
        assertThatThrownBy(() -> ModelFile.check(model, out.resolve("c.onnx"), List.of(), false))
                .isInstanceOf(UsageException.class)
                .hasMessageContainingAll("c.onnx.data", "exists already");
        assertThatThrownBy(() -> ModelFile.check(model, out.resolve("x".repeat(252)), List.of(), false))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("name too long");
        Files.write(in.resolve("c.onnx.data"), new byte[8]);
        OnnxModel other = model(tensor("a", "c.onnx.data", 0, 8));
        assertThatThrownBy(() -> ModelFile.check(other, in.resolve("c.onnx"), List.of(), true))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("also an input");
        ModelFile late = ModelFile.check(model, out.resolve("d.onnx"), List.of(), false);
        Files.write(out.resolve("d.onnx"), SECRET);
        assertThatThrownBy(() -> late.write(model))
                .isInstanceOf(RebiasException.class)
                .hasMessageContaining("appeared");
        assertThat(written()).containsExactly("c.onnx.data", "d.onnx");
        assertThat(out.resolve("d.onnx")).hasBinaryContent(SECRET);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "../secret",
                "sub/../../secret",
                "sub/../w",
                "..",
                "",
                "/etc/passwd",
                "link",
                "chain",
                "linked/secret",
                "linked/in/../secret"
            })
    void nothingOutsideTheModelsFolderIsRead(String location) throws IOException {
        Files.createDirectory(in.resolve("sub"));
        Files.write(in.resolve("w"), new byte[8]);
        Files.createSymbolicLink(in.resolve("link"), folder.resolve("secret"));
        Files.createSymbolicLink(in.resolve("chain"), Path.of("link"));
        Files.createSymbolicLink(in.resolve("linked"), folder);
        OnnxModel model = model(tensor("a", location, 0, 4));
        assertThatThrownBy(() -> bytes(model, 0))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageMatching(".*(outside its own folder|link out of the model's folder).*");
        assertThatThrownBy(() -> ModelFile.check(model, out.resolve("c.onnx"), List.of(), false))
                .isInstanceOf(UnsupportedException.class);
        assertThat(written()).isEmpty();
    }

    @Test
    void linksWithinTheModelsFolderAndToItAreFollowed() throws IOException {
        Files.createDirectory(in.resolve("blobs"));
        Files.write(in.resolve("blobs/w"), new byte[] {1, 2, 3, 4});
        Files.createSymbolicLink(in.resolve("w"), Path.of("blobs/w"));
        model(tensor("a", "w", 0, 4));
        Path linked = Files.createSymbolicLink(folder.resolve("linked"), in);
        assertThat(bytes(OnnxModel.read(linked.resolve("q.onnx")), 0)).containsExactly(1, 2, 3, 4);
    }

    @Test
    void rangesBeyondTheFileAreRefused() throws IOException {
        Files.write(in.resolve("w"), new byte[8]);
        long[][] ranges = {{0, 9}, {8, 1}, {9, 0}, {Long.MAX_VALUE, 1}, {1, Long.MAX_VALUE}};
        for (long[] range : ranges) {
            OnnxModel model = model(tensor("a", "w", range[0], range[1]));
            assertThatThrownBy(() -> bytes(model, 0))
                    .isInstanceOf(UnsupportedException.class)
                    .hasMessageContaining("cut short");
            ModelFile file = ModelFile.check(model, out.resolve("c.onnx"), List.of(), false);
            assertThatThrownBy(() -> file.write(model))
                    .isInstanceOf(UnsupportedException.class)
                    .hasMessageContaining("cut short");
        }
        assertThat(written()).isEmpty();
    }
}
