package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorShapeProto;
import ai.onnx.proto.OnnxMl.TypeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.LayerResult;
import dev.rebias.error.UnsupportedException;
import dev.rebias.measure.Moments;
import dev.rebias.model.OnnxModel;
import dev.rebias.runtime.WholeModel;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import dev.rebias.tensor.HostTensor;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Corrections of small networks of every topology, against the naive definition. */
final class ToyCorrectionTest {
    private static final int SAMPLES = 13;
    private static final double TOLERANCE = 1e-5;

    static CorrectionResult correct(
            ModelProto floating,
            ModelProto quantized,
            Map<String, NaiveTensor> samples,
            Reference reference,
            int batchSize) {
        return correct(
                floating,
                quantized,
                samples,
                CorrectionOptions.builder()
                        .device("cpu")
                        .reference(reference)
                        .batchSize(batchSize)
                        .build());
    }

    static CorrectionResult correct(
            ModelProto floating, ModelProto quantized, Map<String, NaiveTensor> samples, CorrectionOptions options) {
        BiasCorrection correction =
                BiasCorrection.of(OnnxModel.of("float", floating), OnnxModel.of("quantised", quantized));
        Map<String, HostTensor> tensors = new HashMap<>();
        samples.forEach((name, t) -> {
            float[] values = new float[t.values().length];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) t.values()[i];
            }
            tensors.put(
                    name,
                    HostTensor.of(
                            values, Arrays.stream(t.shape()).asLongStream().toArray()));
        });
        try (Samples in = Samples.of(tensors)) {
            return correction.correct(in, options);
        }
    }

    @ParameterizedTest
    @EnumSource(Toy.class)
    void correctionsAgreeWithTheDefinition(Toy toy) {
        ModelProto floating = toy.model();
        ModelProto quantized = RoundedWeights.of(floating, 4);
        Map<String, NaiveTensor> samples = Toy.samples(floating, SAMPLES, 7);
        for (Reference reference : Reference.values()) {
            Map<String, NaiveCorrection.LayerCorrection> expected =
                    NaiveCorrection.correct(floating, quantized, samples, reference == Reference.NETWORK);
            for (int batchSize : List.of(1, 4, 100)) {
                compare(
                        toy + " " + reference + " batch " + batchSize,
                        expected,
                        correct(floating, quantized, samples, reference, batchSize),
                        true);
            }
            CorrectionOptions means = CorrectionOptions.builder()
                    .device("cpu")
                    .reference(reference)
                    .errors(false)
                    .batchSize(4)
                    .build();
            compare(
                    toy + " " + reference + " means only",
                    expected,
                    correct(floating, quantized, samples, means),
                    false);
        }
    }

    /** Layers that are alike, on data of other sizes. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void modelsThatDoNotBelongTogetherAreRefused(boolean errors) {
        CorrectionOptions options = CorrectionOptions.builder()
                .device("cpu")
                .reference(Reference.NETWORK)
                .errors(errors)
                .build();
        ModelProto floating = pooled(1);
        assertThatThrownBy(() -> correct(floating, pooled(2), Toy.samples(floating, SAMPLES, 7), options))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContainingAll("layer 'b_node'", ",4,5,5]", ",4,9,9]", "do not belong together");
    }

    private static ModelProto pooled(int stride) {
        GraphBuilder g = new GraphBuilder(3);
        String a = g.node("Conv", "a", List.of(g.input("x", 3, 10, 10), g.weights("wa", 1, 4, 3, 1, 1)));
        String pooled = g.node(
                "MaxPool",
                "pooled",
                List.of(a),
                GraphBuilder.list("kernel_shape", 2, 2),
                GraphBuilder.list("strides", stride, stride));
        return g.build(g.node("Conv", "b", List.of(pooled, g.weights("wb", 1, 4, 4, 1, 1))));
    }

    private static void compare(
            String what,
            Map<String, NaiveCorrection.LayerCorrection> expected,
            CorrectionResult result,
            boolean errors) {
        assertThat(result.correctedLayers()).as(what).isEqualTo(expected.size());
        double worst = 0;
        for (LayerResult layer : result.layers()) {
            Moments m = layer.moments().orElseThrow();
            NaiveCorrection.LayerCorrection e = expected.get(layer.output());
            assertThat(e.mseBefore())
                    .as("%s: the rounded weights must give an error at all", what)
                    .isPositive();
            for (int c = 0; c < m.channels(); c++) {
                worst = Math.max(worst, Math.abs(m.delta()[c] - e.delta()[c]));
            }
            assertThat(m.errors().isPresent()).as(what).isEqualTo(errors);
            if (errors) {
                worst = Math.max(worst, Math.abs(m.measured().mseBefore() - e.mseBefore()));
                worst = Math.max(worst, Math.abs(m.measured().mseAfter() - e.mseAfter()));
            }
        }
        System.out.printf("%s: worst difference %.1e, %.1f %% of the bound%n", what, worst, 100 * worst / TOLERANCE);
        assertThat(worst).as(what).isLessThan(TOLERANCE);
    }

    @ParameterizedTest
    @EnumSource(Toy.class)
    void identicalModelsGiveZero(Toy toy) {
        ModelProto model = toy.model();
        for (Reference reference : Reference.values()) {
            CorrectionResult result = correct(model, model, Toy.samples(model, SAMPLES, 7), reference, 4);
            for (LayerResult layer : result.layers()) {
                assertThat(layer.moments().orElseThrow().delta())
                        .as(layer.name())
                        .containsOnly(0f);
                assertThat(layer.moments().orElseThrow().measured().mseBefore()).isZero();
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Toy.class)
    void anInjectedBiasErrorComesBack(Toy toy) {
        ModelProto model = toy.model();
        Map<String, float[]> injected = new HashMap<>();
        ModelProto shifted = shifted(model, injected);
        if (!List.of(Toy.WITHOUT_BIAS, Toy.MATMUL_ALONE, Toy.DILATED, Toy.STRIDED, Toy.ASYMMETRIC_PADDING)
                .contains(toy)) {
            assertThat(injected).as("layers with a bias").isNotEmpty();
        }
        CorrectionResult result = correct(model, shifted, Toy.samples(model, SAMPLES, 7), Reference.LAYER, 4);
        for (LayerResult layer : result.layers()) {
            float[] delta = layer.moments().orElseThrow().delta();
            float[] expected = injected.getOrDefault(layer.output(), new float[delta.length]);
            for (int c = 0; c < delta.length; c++) {
                assertThat((double) delta[c])
                        .as("%s channel %d", layer.name(), c)
                        .isCloseTo(-expected[c], within(TOLERANCE));
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Toy.class)
    void theCorrectedModelNeedsNoSecondCorrection(Toy toy) {
        ModelProto floating = toy.model();
        ModelProto quantized = RoundedWeights.of(floating, 4);
        Map<String, NaiveTensor> samples = Toy.samples(floating, SAMPLES, 7);
        // Before IR version 4 every initializer had to be an input too, so new biases become Constant nodes.
        for (int irVersion : List.of(3, 7)) {
            ModelProto old = irVersion < 4
                    ? withInitializersAsInputs(quantized).toBuilder()
                            .setIrVersion(irVersion)
                            .build()
                    : quantized;
            CorrectionResult first = correct(floating, old, samples, Reference.NETWORK, 4);
            ModelProto written = first.model().proto();
            new WholeModel("written", written.toByteArray()).close();
            CorrectionResult second = correct(floating, written, samples, Reference.NETWORK, 4);
            assertThat(second.layers()).hasSameSizeAs(first.layers());
            for (int i = 0; i < first.layers().size(); i++) {
                Moments one = first.layers().get(i).moments().orElseThrow();
                Moments two = second.layers().get(i).moments().orElseThrow();
                assertThat(two.maxAbsDelta())
                        .as(first.layers().get(i).name())
                        .isLessThanOrEqualTo(1e-6 * Math.max(1e-3, one.maxAbsDelta()));
                assertThat(two.measured().mseBefore()).isCloseTo(one.measured().mseAfter(), within(1e-6));
            }
        }
    }

    private static ModelProto withInitializersAsInputs(ModelProto model) {
        ModelProto.Builder old = model.toBuilder();
        for (TensorProto t : model.getGraph().getInitializerList()) {
            TensorShapeProto.Builder shape = TensorShapeProto.newBuilder();
            t.getDimsList().forEach(d -> shape.addDimBuilder().setDimValue(d));
            TypeProto.Tensor.Builder type =
                    TypeProto.Tensor.newBuilder().setElemType(t.getDataType()).setShape(shape);
            old.getGraphBuilder()
                    .addInput(ValueInfoProto.newBuilder()
                            .setName(t.getName())
                            .setType(TypeProto.newBuilder().setTensorType(type)));
        }
        return old.build();
    }

    /** The model with an error added to every bias; the error as it takes effect, by the output of the layer's node. */
    private static ModelProto shifted(ModelProto model, Map<String, float[]> injected) {
        ModelProto.Builder shifted = model.toBuilder();
        for (TensorProto.Builder t : shifted.getGraphBuilder().getInitializerBuilderList()) {
            List<NodeProto> users = NaiveCorrection.layers(model).stream()
                    .filter(layer -> biasOf(model, layer).equals(t.getName()))
                    .toList();
            for (int c = 0; c < t.getFloatDataCount() && !users.isEmpty(); c++) {
                t.setFloatData(c, t.getFloatData(c) + 0.1f * (c + 1));
            }
            for (NodeProto layer : users) {
                float[] error = new float[t.getFloatDataCount()];
                for (int c = 0; c < error.length; c++) {
                    error[c] = (float) NaiveNetwork.real(layer, "beta", 1) * 0.1f * (c + 1);
                }
                injected.put(layer.getOutput(0), error);
            }
        }
        return shifted.build();
    }

    private static String biasOf(ModelProto model, NodeProto layer) {
        if (layer.getInputCount() > 2) {
            return layer.getInput(2);
        }
        return model.getGraph().getNodeList().stream()
                .filter(n -> n.getOpType().equals("Add")
                        && layer.getOpType().equals("MatMul")
                        && n.getInputList().contains(layer.getOutput(0)))
                .map(n -> n.getInput(n.getInput(0).equals(layer.getOutput(0)) ? 1 : 0))
                .findFirst()
                .orElse("");
    }

    @Test
    void aBatchNormalizationThatTheQuantisedModelHasFoldedIsFoldedInTheFloatModel() {
        ModelProto floating = Toy.BATCH_NORMALIZATION.model();
        ModelProto.Builder folded = floating.toBuilder();
        folded.getGraphBuilder().clearNode();
        Map<String, NaiveTensor> constants = new NaiveNetwork(floating).constants();
        for (NodeProto node : floating.getGraph().getNodeList()) {
            if (node.getOpType().equals("ConvTranspose")) {
                // The folded layer ends at the BatchNormalization's output.
                folded.getGraphBuilder()
                        .addNode(node.toBuilder().addInput("folded_bias").setOutput(0, "n"));
            } else if (node.getOpType().equals("BatchNormalization")) {
                fold(folded, node, constants);
            } else {
                folded.getGraphBuilder().addNode(node);
            }
        }
        ModelProto quantized = RoundedWeights.of(folded.build(), 4);
        Map<String, NaiveTensor> samples = Toy.samples(floating, SAMPLES, 7);
        for (Reference reference : Reference.values()) {
            compare(
                    "folded " + reference,
                    NaiveCorrection.correct(floating, quantized, samples, reference == Reference.NETWORK),
                    correct(floating, quantized, samples, reference, 4),
                    true);
        }
    }

    /**
     * Multiplies the transposed convolution's weights "wt" [4,3,2,2], of two groups, by what a BatchNormalization does,
     * and adds the bias that is left.
     */
    private static void fold(ModelProto.Builder folded, NodeProto node, Map<String, NaiveTensor> constants) {
        List<double[]> in = node.getInputList().stream()
                .skip(1)
                .map(name -> constants.get(name).values())
                .toList();
        double[] gain = new double[6];
        TensorProto.Builder bias =
                TensorProto.newBuilder().setName("folded_bias").setDataType(1).addDims(6);
        for (int c = 0; c < 6; c++) {
            gain[c] = in.get(0)[c] / Math.sqrt(in.get(3)[c] + NaiveNetwork.real(node, "epsilon", 1e-5f));
            bias.addFloatData((float) (in.get(1)[c] - gain[c] * in.get(2)[c]));
        }
        for (TensorProto.Builder t : folded.getGraphBuilder().getInitializerBuilderList()) {
            for (int i = 0; t.getName().equals("wt") && i < t.getFloatDataCount(); i++) {
                t.setFloatData(i, (float) (t.getFloatData(i) * gain[i / 24 * 3 + i / 4 % 3]));
            }
        }
        folded.getGraphBuilder().addInitializer(bias);
    }
}
