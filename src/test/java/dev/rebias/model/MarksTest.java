package dev.rebias.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.StringStringEntryProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import com.google.protobuf.ByteString;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.Attributes;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What metadata say of a correction is text that anybody can have written: it is believed where it fits the model, does
 * no harm, and is no reason to fail.
 */
final class MarksTest {
    private static final OnnxModel ORIGINAL = model(new byte[] {1, 2, 3, 4});
    private static final OnnxModel CORRECTED = model(new byte[] {5, 6, 7, 8});

    /** y = x + b with that bias. */
    private static OnnxModel model(byte[] bias) {
        ModelProto.Builder model = ModelProto.newBuilder().setIrVersion(8);
        model.addOpsetImportBuilder().setVersion(13);
        GraphProto.Builder graph = model.getGraphBuilder().setName("g");
        graph.addNodeBuilder().setOpType("Add").addInput("x").addInput("b").addOutput("y");
        graph.addInitializer(tensor("b", 1, bias));
        for (boolean input : new boolean[] {true, false}) {
            var value = input
                    ? graph.addInputBuilder().setName("x")
                    : graph.addOutputBuilder().setName("y");
            value.getTypeBuilder()
                    .getTensorTypeBuilder()
                    .setElemType(TensorProto.DataType.FLOAT.getNumber())
                    .getShapeBuilder()
                    .addDimBuilder()
                    .setDimValue(1);
        }
        return OnnxModel.of("m", model.build());
    }

    private static TensorProto tensor(String name, int elements, byte[] bytes) {
        return TensorProto.newBuilder()
                .setName(name)
                .setDataType(TensorProto.DataType.FLOAT.getNumber())
                .addDims(elements)
                .setRawData(ByteString.copyFrom(bytes))
                .build();
    }

    private static OnnxModel marked(OnnxModel original, OnnxModel corrected) {
        return Marks.marked(original, corrected, "{}", true).model();
    }

    /** A model whose marks fit its nodes and tensors, and hold this to undo its correction with. */
    private static OnnxModel withUndo(OnnxModel model, GraphProto originals) {
        Map<String, String> marks = Map.of(
                "rebias",
                "{}",
                "rebias.graph",
                Undo.sha256(model.proto().getGraph()),
                "rebias.originals",
                Undo.sha256(originals),
                "rebias.undo",
                Base64.getEncoder().encodeToString(originals.toByteArray()));
        ModelProto.Builder proto = model.proto().toBuilder().clearMetadataProps();
        marks.forEach((key, value) -> proto.addMetadataProps(
                StringStringEntryProto.newBuilder().setKey(key).setValue(value)));
        return OnnxModel.of("m", proto.build());
    }

    private static GraphProto.Builder originals(List<Long> changed) {
        return GraphProto.newBuilder()
                .addNode(NodeProto.newBuilder()
                        .setOpType("Undo")
                        .addAttribute(Attributes.of("changed", changed))
                        .addAttribute(Attributes.of("added", List.of()))
                        .addAttribute(AttributeProto.newBuilder()
                                .setName("added_tensors")
                                .setType(AttributeProto.AttributeType.STRINGS)));
    }

    @Test
    void undoingGivesTheOriginalAfterOneCorrectionAndAfterTwo() {
        OnnxModel once = marked(ORIGINAL, CORRECTED);
        assertThat(Marks.undone(once).proto()).isEqualTo(ORIGINAL.proto());
        Marks.Marked twice =
                Marks.marked(once, once.corrected(model(new byte[] {9, 9, 9, 9}).proto()), "{}", true);
        assertThat(twice.toFirst()).isTrue();
        assertThat(twice.warnings()).isEmpty();
        assertThat(Marks.undone(twice.model()).proto()).isEqualTo(ORIGINAL.proto());
    }

    @Test
    void undoIsLeftOutWhereItIsTooLarge() {
        Marks.Marked large = Marks.marked(ORIGINAL, CORRECTED, "{}", true, 10, Long.MAX_VALUE);
        assertThat(large.undoable()).isFalse();
        assertThat(large.warnings().get(0)).contains("does not hold what it takes to undo");
        assertThat(Marks.isUndoable(large.model())).isFalse();
        assertThat(Marks.provenance(large.model())).contains("{}");
        assertThatThrownBy(() -> Marks.undone(large.model())).isInstanceOf(UnsupportedException.class);
        assertThat(Marks.marked(ORIGINAL, CORRECTED, "{}", true, 1000, Long.MAX_VALUE)
                        .undoable())
                .isTrue();
    }

    /** A message of protobuf is at most 2 GiB, whatever part of it the undo is. */
    @Test
    void undoIsLeftOutWhereTheFileWouldBeTooLargeWithIt() {
        long bytes = CORRECTED.proto().getSerializedSize();
        long undo = Undo.of(ORIGINAL, CORRECTED.proto()).bytes();
        Marks.Marked large = Marks.marked(ORIGINAL, CORRECTED, "{}", true, undo, bytes + undo);
        assertThat(large.undoable()).isFalse();
        assertThat(large.warnings().get(0)).contains("does not hold what it takes to undo");
        assertThat(Marks.isUndoable(large.model())).isFalse();
        assertThat(Marks.marked(ORIGINAL, CORRECTED, "{}", true, undo, bytes + 2 * undo)
                        .undoable())
                .isTrue();
    }

    @Test
    void whereAModelWasChangedSinceItsCorrectionThatOneIsNotUndone() {
        ModelProto.Builder changed = marked(ORIGINAL, CORRECTED).proto().toBuilder();
        changed.getGraphBuilder().getNodeBuilder(0).setDocString("another");
        OnnxModel before = OnnxModel.of("m", changed.build());
        Marks.Marked again = Marks.marked(
                before, before.corrected(model(new byte[] {9, 9, 9, 9}).proto()), "{}", true);
        assertThat(again.toFirst()).isFalse();
        assertThat(again.warnings())
                .singleElement()
                .asString()
                .contains("the correction before this one cannot be undone", "was changed since it was corrected");
        assertThat(Marks.undone(again.model()).proto().getGraph())
                .isEqualTo(before.proto().getGraph());
    }

    @ParameterizedTest
    @ValueSource(strings = {"damaged", "unlike"})
    void whatAnEarlierCorrectionLeftNeedNotBeOfUse(String how) {
        GraphProto useless = how.equals("damaged")
                ? GraphProto.newBuilder()
                        .addNode(NodeProto.newBuilder().setOpType("Other"))
                        .build()
                : originals(List.of(0L))
                        .addNode(NodeProto.newBuilder()
                                .setOpType("Sub")
                                .addInput("x")
                                .addInput("b")
                                .addOutput("y"))
                        .build();
        OnnxModel before = withUndo(ORIGINAL, useless);
        Marks.Marked marked = Marks.marked(before, CORRECTED, "{}", true);
        assertThat(marked.undoable()).isTrue();
        assertThat(marked.toFirst()).isFalse();
        assertThat(marked.warnings()).hasSize(1);
        assertThat(marked.warnings().get(0)).contains("the correction before this one cannot be undone");
        assertThat(Marks.undone(marked.model()).proto().getGraph())
                .isEqualTo(ORIGINAL.proto().getGraph());
    }

    @Test
    void whatComesOutMustBeAModel() {
        GraphProto nonsense = originals(List.of(0L))
                .addNode(NodeProto.newBuilder()
                        .setOpType("Nonsense")
                        .addInput("x")
                        .addOutput("y"))
                .build();
        OnnxModel hostile = withUndo(ORIGINAL, nonsense);
        assertThatThrownBy(() -> Marks.undone(hostile))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContainingAll("the original of m", "No Op registered for Nonsense");
        GraphProto deep = originals(List.of())
                .addInitializer(tensor("b", 1 << 30, new byte[] {1, 2, 3, 4}))
                .build();
        assertThatThrownBy(() -> Marks.undone(withUndo(ORIGINAL, deep)))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContainingAll("tensor 'b' of 'the original of m'", "dimensions [1073741824]");
    }

    @Test
    void manyTensorsOfOneNameDoNotTakeALargeOneEach() {
        byte[] large = new byte[1 << 20];
        Undo undo = Undo.parse(
                "m",
                Base64.getEncoder()
                        .encodeToString(originals(List.of())
                                .addInitializer(tensor("b", large.length / Float.BYTES, large))
                                .build()
                                .toByteArray()));
        GraphProto.Builder many = GraphProto.newBuilder();
        for (int i = 0; i < 100; i++) {
            many.addInitializer(tensor("b", 0, new byte[0]));
        }
        assertThat(undo.apply("m", many.build()).getSerializedSize()).isLessThan(2 * large.length);
    }

    @Test
    void manyChangedNodesTakeNoLongTime() {
        int nodes = 300_000;
        GraphProto.Builder originals =
                originals(LongStream.range(0, nodes).boxed().toList());
        GraphProto.Builder graph = GraphProto.newBuilder();
        NodeProto before = NodeProto.newBuilder().setOpType("Neg").build();
        NodeProto after = NodeProto.newBuilder().setOpType("Abs").build();
        for (int i = 0; i < nodes; i++) {
            originals.addNode(before);
            graph.addNode(after);
        }
        String text =
                new String(Base64.getEncoder().encode(originals.build().toByteArray()), StandardCharsets.US_ASCII);
        Undo undo = Undo.parse("m", text);
        GraphProto result =
                Assertions.assertTimeoutPreemptively(Duration.ofSeconds(20), () -> undo.apply("m", graph.build()));
        assertThat(result.getNodeList()).hasSize(nodes).containsOnly(before);
    }
}
