package dev.rebias.model;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import com.google.protobuf.ByteString;
import com.google.protobuf.UnknownFieldSet;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.LayerResult;
import dev.rebias.golden.ReferencePair;
import dev.rebias.samples.Samples;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * The corrected model against the quantised one, message by message: only biases may differ, and what the metadata say
 * of them.
 */
final class WrittenModelTest {
    private static CorrectionResult correct(ReferencePair pair) {
        try (Samples samples = pair.samples()) {
            return pair.correction()
                    .correct(
                            samples.limit(4),
                            CorrectionOptions.builder().device("cpu").build());
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = ReferencePair.class,
            names = {
                "FASHION_W3A8",
                "FASHION_W4A4",
                "FASHION_W8A8_INT32_BIAS",
                "FASHION_W3A8_NO_BIAS",
                "OCR_W4A8",
                "OCR_W8A8"
            })
    void onlyBiasesDiffer(ReferencePair pair) {
        ModelProto before = pair.quantizedModel().proto();
        CorrectionResult result = correct(pair);
        ModelProto after = result.model().proto();

        assertThat(after.toBuilder().clearGraph().clearMetadataProps().build())
                .isEqualTo(before.toBuilder().clearGraph().build());
        assertThat(withoutNodesAndInitializers(after.getGraph()))
                .isEqualTo(withoutNodesAndInitializers(before.getGraph()));

        assertThat(Marks.undone(result.model()).proto()).isEqualTo(before);

        Set<String> biases = biasTensors(after);
        Map<String, TensorProto> old = byName(before.getGraph().getInitializerList());
        int changed = 0;
        for (TensorProto t : after.getGraph().getInitializerList()) {
            if (!t.equals(old.get(t.getName()))) {
                changed++;
                assertThat(biases).as("changed or new initializers").contains(t.getName());
            }
        }
        assertThat(changed).isEqualTo((int) result.correctedLayers());
        assertThat(byName(after.getGraph().getInitializerList()).keySet()).containsAll(old.keySet());
        assertThat(after.getGraph().getInitializerList().stream()
                        .map(TensorProto::getName)
                        .filter(old::containsKey)
                        .toList())
                .as("order of the initializers")
                .isEqualTo(before.getGraph().getInitializerList().stream()
                        .map(TensorProto::getName)
                        .toList());
        assertThat(after.getGraph().getNodeCount()).isEqualTo(before.getGraph().getNodeCount());
        for (int i = 0; i < before.getGraph().getNodeCount(); i++) {
            NodeProto a = before.getGraph().getNode(i);
            NodeProto b = after.getGraph().getNode(i);
            boolean inserted = result.layers().stream()
                    .anyMatch(l -> l.status() == LayerResult.Status.INSERTED
                            && l.output().equals(a.getOutput(0)));
            if (inserted) {
                assertThat(b.getInputCount()).isEqualTo(3);
                assertThat(b.toBuilder()
                                .clearInput()
                                .addAllInput(b.getInputList().subList(0, 2))
                                .build())
                        .isEqualTo(a);
            } else {
                assertThat(b).isEqualTo(a);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(value = ReferencePair.class, names = "FASHION_W8A8_INT32_BIAS")
    void integerBiasesStayIntegersAndMoveByWholeSteps(ReferencePair pair) {
        CorrectionResult result = correct(pair);
        Map<String, TensorProto> old =
                byName(pair.quantizedModel().proto().getGraph().getInitializerList());
        Map<String, TensorProto> now = byName(result.model().proto().getGraph().getInitializerList());
        Map<String, NodeProto> producers = new HashMap<>();
        result.model().proto().getGraph().getNodeList().forEach(n -> n.getOutputList()
                .forEach(o -> producers.put(o, n)));
        for (LayerResult layer : result.layers()) {
            NodeProto dequantize = producers.get(producers.get(layer.output()).getInput(2));
            long[] before =
                    StoredTensor.integers(old.get(dequantize.getInput(0))).orElseThrow();
            long[] after =
                    StoredTensor.integers(now.get(dequantize.getInput(0))).orElseThrow();
            float[] scale = StoredTensor.floats(now.get(dequantize.getInput(1)));
            float[] delta = layer.moments().orElseThrow().delta();
            for (int c = 0; c < delta.length; c++) {
                float step = scale[scale.length == 1 ? 0 : c];
                assertThat(after[c] - before[c]).isEqualTo((int) Math.rint(delta[c] / step));
                assertThat(delta[c]).isEqualTo((after[c] - before[c]) * step);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(value = ReferencePair.class, names = "FASHION_W3A8")
    void fieldsThatNobodyKnowsSurvive(ReferencePair pair) {
        UnknownFieldSet unknown = UnknownFieldSet.newBuilder()
                .addField(
                        1999,
                        UnknownFieldSet.Field.newBuilder()
                                .addLengthDelimited(ByteString.copyFromUtf8("from the future"))
                                .build())
                .build();
        ModelProto.Builder model = pair.quantizedModel().proto().toBuilder().setUnknownFields(unknown);
        model.getGraphBuilder().setUnknownFields(unknown).getNodeBuilder(3).setUnknownFields(unknown);
        BiasSites sites = new BiasSites(OnnxModel.of("model", model.build()));
        Layer layer = new Layers(GraphReader.read(OnnxModel.of("model", model.build())))
                .all()
                .get(0);
        ModelProto written = BiasWriter.write(sites, Map.of(layer, new float[layer.channels()]));
        assertThat(written).isEqualTo(model.build());
    }

    private static GraphProto withoutNodesAndInitializers(GraphProto graph) {
        return graph.toBuilder().clearNode().clearInitializer().build();
    }

    private static Map<String, TensorProto> byName(List<TensorProto> tensors) {
        Map<String, TensorProto> byName = new HashMap<>();
        tensors.forEach(t -> byName.put(t.getName(), t));
        return byName;
    }

    /**
     * Third inputs of layers, the integers behind those that are dequantised, and constants that an Add adds to a
     * MatMul.
     */
    private static Set<String> biasTensors(ModelProto model) {
        Map<String, NodeProto> producers = new HashMap<>();
        model.getGraph().getNodeList().forEach(n -> n.getOutputList().forEach(o -> producers.put(o, n)));
        Set<String> biases = new HashSet<>();
        for (NodeProto node : model.getGraph().getNodeList()) {
            if (Set.of("Conv", "ConvTranspose", "Gemm").contains(node.getOpType()) && node.getInputCount() > 2) {
                biases.add(node.getInput(2));
                NodeProto producer = producers.get(node.getInput(2));
                if (producer != null && producer.getOpType().equals("DequantizeLinear")) {
                    biases.add(producer.getInput(0));
                }
            }
            if (node.getOpType().equals("Add")
                    && node.getInputList().stream()
                            .map(producers::get)
                            .anyMatch(p -> p != null && p.getOpType().equals("MatMul"))) {
                biases.addAll(node.getInputList());
            }
        }
        return biases;
    }
}
