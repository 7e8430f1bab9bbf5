package dev.rebias.oracle;

import static dev.rebias.oracle.GraphBuilder.integer;
import static dev.rebias.oracle.GraphBuilder.list;
import static dev.rebias.oracle.GraphBuilder.real;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import ai.onnxruntime.OrtException;
import java.io.IOException;
import java.io.InputStream;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The oracle's own arithmetic, against ONNX Runtime and against numbers worked out by hand. */
final class NaiveNetworkTest {
    /** The largest difference over the largest value: float32 against double, through whole networks. */
    private static final double TOLERANCE = 1e-4;

    /** Where rounding flips a quantised activation, one engine is a step off; never may many be. */
    private static final double FLIPPED = 0.02;

    @ParameterizedTest
    @CsvSource({
        "ch_PP-OCRv3_det_infer, 64, 64",
        "ch_PP-OCRv4_det_infer, 64, 64",
        "ch_PP-OCRv3_rec_infer, 48, 64",
        "ch_PP-OCRv4_rec_infer, 48, 64",
        "ch_ppocr_mobile_v2.0_cls_infer, 48, 192"
    })
    void realNetworksGiveWhatOnnxRuntimeGives(String name, int height, int width) throws IOException, OrtException {
        ModelProto model;
        try (InputStream in = NaiveNetworkTest.class.getResourceAsStream("/models/" + name + ".onnx")) {
            model = ModelProto.parseFrom(in);
        }
        Random random = new Random(3);
        NaiveTensor x = NaiveOps.map(NaiveTensor.zeros(1, 3, height, width), v -> (float) random.nextGaussian());
        compare(name, withEveryFloatAsOutput(model, Map.of("x", x)), Map.of("x", x));
    }

    /** The model with all that its nodes compute from its inputs among its outputs, as far as they are floats. */
    private static ModelProto withEveryFloatAsOutput(ModelProto model, Map<String, NaiveTensor> inputs) {
        NaiveNetwork network = new NaiveNetwork(model);
        Map<String, NaiveTensor> constants = network.constants();
        ModelProto.Builder open = model.toBuilder();
        open.getGraphBuilder().clearOutput();
        network.run(inputs, (node, output, tensors) -> {
            if (!output.isInteger() && !constants.containsKey(node.getOutput(0))) {
                open.getGraphBuilder().addOutput(ValueInfoProto.newBuilder().setName(node.getOutput(0)));
            }
            return output;
        });
        return open.build();
    }

    @ParameterizedTest
    @EnumSource(Toy.class)
    void toysGiveWhatOnnxRuntimeGives(Toy toy) throws OrtException {
        ModelProto model = toy.model();
        compare(toy.name(), model, Toy.samples(model, 3, 1));
    }

    @ParameterizedTest
    @MethodSource("dev.rebias.oracle.Operation#all")
    void operationsGiveWhatOnnxRuntimeGives(Operation operation) throws OrtException {
        ModelProto model = operation.model();
        compare(operation.toString(), model, Toy.samples(model, 2, 2));
    }

    @ParameterizedTest
    @EnumSource(Toy.class)
    void quantisedToysGiveWhatOnnxRuntimeGives(Toy toy) throws OrtException {
        ModelProto model = toy.model();
        Map<String, NaiveTensor> samples = Toy.samples(model, 5, 1);
        for (boolean perChannel : new boolean[] {false, true}) {
            QdqWriter.Scheme weights = new QdqWriter.Scheme(4, perChannel, false, false, true);
            compare(toy + " weights", QdqWriter.write(model, weights, samples), samples);
            QdqWriter.Scheme all = new QdqWriter.Scheme(8, perChannel, true, true, false);
            ModelProto quantized = QdqWriter.write(model, all, samples);
            Map<String, NaiveTensor> actual = new NaiveNetwork(quantized).run(samples);
            OnnxRuntimeNetwork.run(quantized, samples).forEach((output, expected) -> {
                double apart = 0;
                for (int i = 0; i < expected.values().length; i++) {
                    boolean off =
                            Math.abs(expected.values()[i] - actual.get(output).values()[i]) > TOLERANCE;
                    apart += off ? 1.0 / expected.values().length : 0;
                }
                assertThat(apart)
                        .as("share of %s in %s that differs", output, toy)
                        .isLessThan(FLIPPED);
            });
        }
    }

    /** Compares all outputs, each by the share of its tolerance that it uses. */
    private static void compare(String what, ModelProto model, Map<String, NaiveTensor> inputs) throws OrtException {
        Map<String, NaiveTensor> actual = new NaiveNetwork(model).run(inputs);
        Map<String, NaiveTensor> outputs = OnnxRuntimeNetwork.run(model, inputs);
        Set<String> sigmoids = model.getGraph().getNodeList().stream()
                .filter(n -> n.getOpType().equals("Sigmoid"))
                .map(n -> n.getOutput(0))
                .collect(Collectors.toSet());
        double worst = 0;
        String where = "";
        for (Map.Entry<String, NaiveTensor> output : outputs.entrySet()) {
            NaiveTensor expected = output.getValue();
            NaiveTensor got = actual.get(output.getKey());
            assertThat(got.shape()).as("%s %s", what, output.getKey()).isEqualTo(expected.shape());
            assertThat(expected.values()).as("%s %s", what, output.getKey()).isNotEmpty();
            // A float32 sigmoid is as fine as its range of 0 to 1 allows, however small the value.
            double scale = sigmoids.contains(output.getKey()) ? 1 : 0;
            double apart = 0;
            for (int i = 0; i < expected.values().length; i++) {
                scale = Math.max(scale, Math.abs(expected.values()[i]));
                double difference = Math.abs(expected.values()[i] - got.values()[i]);
                apart = difference <= apart ? apart : difference;
            }
            double used = apart == 0 ? 0 : apart / (scale * TOLERANCE);
            if (!(used <= worst)) {
                worst = used;
                where = output.getKey();
            }
        }
        System.out.printf(
                "%s: %d tensors, the worst (%s) at %.2f %% of the bound%n", what, outputs.size(), where, 100 * worst);
        assertThat(outputs).as(what).isNotEmpty();
        assertThat(worst).as("%s at %s", what, where).isLessThan(1);
    }

    @Test
    void aConvolutionIsWhatItsSumSays() {
        GraphBuilder g = new GraphBuilder(0);
        String w = g.floats("w", new int[] {1, 2, 1, 2}, 1, 2, 3, 4);
        String b = g.floats("b", new int[] {1}, 0.5f);
        String y = g.node("Conv", "y", List.of(g.input("x", 2, 1, 3), w, b), list("pads", 0, 1, 0, 0));
        NaiveTensor x = new NaiveTensor(new double[] {1, 2, 3, 4, 5, 6}, 1, 2, 1, 3);
        NaiveTensor out = new NaiveNetwork(g.build(y)).run(Map.of("x", x)).get("y");
        assertThat(out.shape()).containsExactly(1, 1, 1, 3);
        // 2*1 + 4*4; 1*1 + 2*2 + 3*4 + 4*5; 1*2 + 2*3 + 3*5 + 4*6; each + 0.5.
        assertThat(out.values()).containsExactly(18.5, 37.5, 47.5);
    }

    @Test
    void aBatchNormalizationIsWhatItsFormulaSays() {
        GraphBuilder g = new GraphBuilder(0);
        int[] two = {2};
        String y = g.node(
                "BatchNormalization",
                "y",
                List.of(
                        g.input("x", 2, 1),
                        g.floats("scale", two, 2, 3),
                        g.floats("shift", two, 10, 20),
                        g.floats("mean", two, 1, -1),
                        g.floats("variance", two, 4, 0.25f)),
                real("epsilon", 0));
        NaiveTensor x = new NaiveTensor(new double[] {5, 1}, 1, 2, 1);
        assertThat(new NaiveNetwork(g.build(y)).run(Map.of("x", x)).get("y").values())
                .containsExactly(2 * (5 - 1) / 2.0 + 10, 3 * (1 + 1) / 0.5 + 20);
    }

    @Test
    void quantisingRoundsHalfToEvenAndSaturates() {
        GraphBuilder g = new GraphBuilder(0);
        String scale = g.floats("scale", new int[0], 0.5f);
        String q = g.node("QuantizeLinear", "q", List.of(g.input("x"), scale));
        String y = g.node("DequantizeLinear", "y", List.of(q, scale));
        NaiveTensor x = new NaiveTensor(new double[] {0.25, 0.75, 1.3, -3, 1000}, 5);
        Map<String, NaiveTensor> tensors = new NaiveNetwork(g.build(y)).run(Map.of("x", x));
        assertThat(tensors.get("q").values()).containsExactly(0, 2, 3, 0, 255);
        assertThat(tensors.get("y").values()).containsExactly(0, 1, 1.5, 0, 127.5);
    }

    @Test
    void theErrorFunctionHasItsKnownValues() {
        assertThat(NaiveOps.erf(0)).isZero();
        assertThat(NaiveOps.erf(0.5)).isCloseTo(0.5204998778130465, within(1e-15));
        assertThat(NaiveOps.erf(-2)).isCloseTo(-0.9953222650189527, within(1e-15));
        assertThat(NaiveOps.erf(5.9)).isCloseTo(1, within(1e-14));
    }

    @Test
    void aHookSeesANodesInputsAndChangesWhatFollows() {
        ModelProto model = Toy.CHAIN.model();
        Map<String, NaiveTensor> samples = Toy.samples(model, 2, 1);
        Map<String, NaiveTensor> changed = new NaiveNetwork(model).run(samples, (node, output, tensors) -> {
            node.getInputList().forEach(i -> assertThat(tensors).containsKey(i));
            return node.getOutput(0).equals("c1") ? NaiveOps.map(output, v -> v + 1) : output;
        });
        Map<String, NaiveTensor> plain = new NaiveNetwork(model).run(samples);
        assertThat(changed.get("c1").values()[0] - plain.get("c1").values()[0]).isCloseTo(1, within(1e-12));
        assertThat(changed.get("r1").values()[0])
                .isEqualTo(Math.max(0, changed.get("c1").values()[0]));
    }

    @Test
    void anUnknownOperationIsNamed() {
        GraphBuilder g = new GraphBuilder(0);
        ModelProto model = g.build(g.node("Einsum", "y", List.of(g.input("x", 2)), integer("axis", 0)));
        assertThatThrownBy(() -> new NaiveNetwork(model).run(Map.of("x", NaiveTensor.zeros(1, 2))))
                .hasMessageContaining("Einsum");
    }
}
