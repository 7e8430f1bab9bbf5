package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import dev.rebias.oracle.NaiveCorrection.LayerCorrection;
import dev.rebias.oracle.NaiveCorrection.Pair;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The definition gives what it must where the answer is known beforehand. */
final class NaiveCorrectionTest {
    private static final double EXACT = 1e-12;
    private static final int SAMPLES = 6;

    @ParameterizedTest
    @EnumSource(Toy.class)
    void identicalModelsGiveZero(Toy toy) {
        ModelProto model = toy.model();
        for (boolean network : new boolean[] {false, true}) {
            Map<String, LayerCorrection> results =
                    NaiveCorrection.correct(model, model, Toy.samples(model, SAMPLES, 1), network);
            assertThat(results).hasSameSizeAs(NaiveCorrection.layers(model));
            results.values().forEach(r -> {
                assertThat(r.delta()).containsOnly(0);
                assertThat(r.mseBefore()).isZero();
                assertThat(r.mseAfter()).isZero();
            });
        }
    }

    @Test
    void anInjectedBiasErrorComesBackAndNothingElse() {
        ModelProto model = Toy.CHAIN.model();
        // Sums of a float bias and an eighth are not exact: the error is what the stored biases differ by.
        ModelProto shifted = added(model, Map.of("c2_b", new double[] {0.125, -0.5, 2, 0}));
        double[] was = stored(model, "c2_b");
        double[] is = stored(shifted, "c2_b");
        for (boolean network : new boolean[] {false, true}) {
            Map<String, LayerCorrection> results =
                    NaiveCorrection.correct(model, shifted, Toy.samples(model, SAMPLES, 1), network);
            for (int c = 0; c < was.length; c++) {
                assertThat(results.get("c2").delta()[c]).isCloseTo(was[c] - is[c], within(EXACT));
            }
            assertThat(results.get("c2").mseBefore()).isGreaterThan(1);
            assertThat(results.get("c2").mseAfter()).isLessThan(EXACT);
            assertThat(results.get("c1").delta()).containsOnly(0);
            // What follows sees the corrected layer.
            assertThat(largest(results.get("c3").delta())).isLessThan(EXACT);
        }
    }

    @ParameterizedTest
    @EnumSource(Toy.class)
    void floatBiasesTakeTheWholeMeanOut(Toy toy) {
        ModelProto model = toy.model();
        ModelProto rounded = RoundedWeights.of(model, 4);
        for (boolean network : new boolean[] {false, true}) {
            NaiveCorrection.correct(model, rounded, Toy.samples(model, SAMPLES, 1), network)
                    .forEach((layer, r) -> {
                        double taken = Arrays.stream(r.delta())
                                .map(d -> d * d)
                                .average()
                                .orElseThrow();
                        assertThat(r.mseBefore()).as(layer).isPositive();
                        assertThat(r.mseAfter()).as(layer).isCloseTo(r.mseBefore() - taken, within(EXACT));
                    });
        }
    }

    @Test
    void aCorrectedModelNeedsNoCorrection() {
        ModelProto model = Toy.CHAIN.model();
        ModelProto rounded = RoundedWeights.of(model, 4);
        Map<String, NaiveTensor> samples = Toy.samples(model, SAMPLES, 1);
        for (boolean network : new boolean[] {false, true}) {
            ModelProto corrected = rounded;
            for (Map.Entry<String, LayerCorrection> r :
                    NaiveCorrection.correct(model, rounded, samples, network).entrySet()) {
                corrected =
                        added(corrected, Map.of(r.getKey() + "_b", r.getValue().delta()));
            }
            // Nothing is left but the rounding of the biases to float32.
            NaiveCorrection.correct(model, corrected, samples, network)
                    .values()
                    .forEach(r -> assertThat(largest(r.delta())).isLessThan(1e-6));
        }
    }

    @Test
    void anIntegerBiasMovesInWholeSteps() {
        ModelProto model = Toy.GEMM_TRANSPOSES.model();
        Map<String, NaiveTensor> samples = Toy.samples(model, SAMPLES, 1);
        for (boolean perChannel : new boolean[] {false, true}) {
            ModelProto quantized =
                    QdqWriter.write(model, new QdqWriter.Scheme(4, perChannel, true, true, false), samples);
            double[] scale =
                    new NaiveNetwork(quantized).constants().get("b_b_scale").values();
            LayerCorrection b =
                    NaiveCorrection.correct(model, quantized, samples, false).get("b");
            double[] steps = new double[b.delta().length];
            for (int c = 0; c < steps.length; c++) {
                steps[c] = b.delta()[c] / (2.5f * scale[perChannel ? c : 0]);
                assertThat(steps[c]).isCloseTo(Math.rint(steps[c]), within(1e-9));
            }
            // Each scheme must move the bias at all.
            assertThat(largest(steps)).isGreaterThan(0.5);
        }
    }

    @Test
    void onlyTheGivenPairsAreCorrected() {
        ModelProto model = Toy.CHAIN.model();
        ModelProto rounded = RoundedWeights.of(model, 4);
        Map<String, NaiveTensor> samples = Toy.samples(model, SAMPLES, 1);
        List<Pair> all = NaiveCorrection.pairsByOrder(model, rounded);
        assertThat(all).isEqualTo(NaiveCorrection.pairsByOutput(model, rounded)).hasSize(3);
        Map<String, LayerCorrection> one = NaiveCorrection.correct(
                model, rounded, samples, true, List.of(new Pair("c2", "c2")), UnaryOperator.identity());
        assertThat(one).containsOnlyKeys("c2");
    }

    @Test
    void aLayerThatTheQuantisedModelHasFoldedPairsWithItsBatchNormalization() {
        ModelProto model = Toy.BATCH_NORMALIZATION.model();
        ModelProto.Builder folded = model.toBuilder();
        folded.getGraphBuilder().clearNode();
        model.getGraph().getNodeList().forEach(n -> {
            if (n.getOpType().equals("ConvTranspose")) {
                folded.getGraphBuilder().addNode(n.toBuilder().setOutput(0, "n"));
            } else if (!n.getOpType().equals("BatchNormalization")) {
                folded.getGraphBuilder().addNode(n);
            }
        });
        Map<String, NaiveTensor> samples = Toy.samples(model, SAMPLES, 1);
        assertThat(NaiveCorrection.pairsByOutput(model, folded.build()))
                .containsExactly(new Pair("c1", "c1"), new Pair("n", "t"), new Pair("c2", "c2"));
        for (boolean network : new boolean[] {false, true}) {
            Map<String, NaiveTensor> floats = new NaiveNetwork(model).run(samples);
            double[] delta = NaiveCorrection.correct(model, folded.build(), samples, network)
                    .get("n")
                    .delta();
            // c1 is the same in both models, so the error is BN's output less its input.
            for (int c = 0; c < delta.length; c++) {
                assertThat(delta[c]).isCloseTo(mean(floats.get("n"), c) - mean(floats.get("t"), c), within(EXACT));
            }
        }
    }

    private static double largest(double... values) {
        return Arrays.stream(values).map(Math::abs).max().orElseThrow();
    }

    private static double mean(NaiveTensor t, int channel) {
        int inner = t.span(2, t.rank());
        double sum = 0;
        for (int i = 0; i < t.values().length; i++) {
            sum += i / inner % t.shape()[1] == channel ? t.values()[i] : 0;
        }
        return sum * t.shape()[1] / t.values().length;
    }

    private static double[] stored(ModelProto model, String name) {
        return new NaiveNetwork(model).constants().get(name).values();
    }

    /** The model with something added to initializers of floats. */
    private static ModelProto added(ModelProto model, Map<String, double[]> additions) {
        ModelProto.Builder changed = model.toBuilder();
        for (TensorProto.Builder t : changed.getGraphBuilder().getInitializerBuilderList()) {
            double[] addition = additions.getOrDefault(t.getName(), new double[0]);
            for (int i = 0; i < addition.length; i++) {
                t.setFloatData(i, (float) (t.getFloatData(i) + addition[i]));
            }
        }
        return changed.build();
    }
}
