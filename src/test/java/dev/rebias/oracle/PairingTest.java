package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.onnx.proto.OnnxMl.ModelProto;
import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.LayerResult;
import dev.rebias.error.UnsupportedException;
import dev.rebias.model.LayerPair;
import dev.rebias.model.OnnxModel;
import dev.rebias.oracle.SpeltLayer.Kind;
import dev.rebias.oracle.SpeltLayer.Spelling;
import dev.rebias.sweep.Reference;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Weights say which layer is which; names and order only where weights are equal; and what cannot be a pair is none.
 */
final class PairingTest {
    private static final int CHANNELS = 6;

    private static List<SpeltLayer> layers(Kind kind, int n, long seed) {
        Random random = new Random(seed);
        return IntStream.range(0, n)
                .mapToObj(i -> SpeltLayer.random(kind, CHANNELS, CHANNELS, random))
                .toList();
    }

    private static List<SpeltLayer> changed(List<SpeltLayer> layers, DoubleUnaryOperator weight) {
        return layers.stream()
                .map(l -> new SpeltLayer(
                        l.kind(),
                        l.inputs(),
                        l.outputs(),
                        Arrays.stream(l.weights()).map(weight).toArray(),
                        l.bias()))
                .toList();
    }

    private static List<SpeltLayer> rounded(List<SpeltLayer> layers, int bits) {
        return layers.stream().map(l -> l.rounded(bits)).toList();
    }

    private static String input(GraphBuilder g, Kind kind) {
        int[] dims = new int[kind.spatial + 1];
        Arrays.fill(dims, 5);
        dims[0] = CHANNELS;
        return g.input("x", dims);
    }

    /** Layers one after the other. */
    private static ModelProto chain(List<SpeltLayer> layers, List<String> names) {
        GraphBuilder g = new GraphBuilder(1);
        String x = input(g, layers.get(0).kind());
        for (int i = 0; i < layers.size(); i++) {
            String y = layers.get(i).write(g, x, names.get(i), Spelling.FOLDED, new Random(i));
            x = g.node("Relu", "relu" + names.get(i), List.of(y));
        }
        return g.build(x);
    }

    private static ModelProto chain(List<SpeltLayer> layers) {
        return chain(layers, numbered(layers.size(), 0));
    }

    private static List<String> numbered(int n, int from) {
        return IntStream.range(from, from + n).mapToObj(i -> "t" + i).toList();
    }

    /** Layers side by side, in the given order, their outputs added up. */
    private static ModelProto branches(List<SpeltLayer> layers, List<Integer> order, List<String> names) {
        GraphBuilder g = new GraphBuilder(1);
        String x = input(g, layers.get(0).kind());
        for (int i : order) {
            layers.get(i).write(g, x, names.get(i), Spelling.FOLDED, new Random(i));
        }
        String sum = names.get(0);
        for (int i = 1; i < layers.size(); i++) {
            sum = g.node("Add", "sum" + i, List.of(sum, names.get(i)));
        }
        return g.build(sum);
    }

    private static BiasCorrection correction(ModelProto floating, ModelProto quantized) {
        return BiasCorrection.of(OnnxModel.of("f.onnx", floating), OnnxModel.of("q.onnx", quantized));
    }

    private static Map<String, String> pairs(ModelProto floating, ModelProto quantized) {
        Map<String, String> pairs = new HashMap<>();
        for (LayerPair pair : correction(floating, quantized).pairing().pairs()) {
            pairs.put(pair.quantized().fileOutput(), pair.floating().fileOutput());
        }
        return pairs;
    }

    private static Map<String, String> expected(List<String> quantized, List<String> floating) {
        Map<String, String> pairs = new HashMap<>();
        for (int i = 0; i < quantized.size(); i++) {
            pairs.put(quantized.get(i), floating.get(i));
        }
        return pairs;
    }

    @ParameterizedTest
    @EnumSource(Kind.class)
    void branchesOfOneShapePairInAnyOrderWithAnyNames(Kind kind) {
        if (CHANNELS % kind.group != 0) {
            kind = Kind.PADDED;
        }
        for (int bits : new int[] {2, 3, 4, 8}) {
            List<SpeltLayer> layers = layers(kind, 5, bits);
            List<Integer> order = new ArrayList<>(List.of(0, 1, 2, 3, 4));
            Collections.shuffle(order, new Random(bits));
            List<String> f = numbered(5, 0);
            // Every name is another layer's here.
            List<String> q = List.of("t1", "t2", "t3", "t4", "t0");
            assertThat(pairs(branches(layers, List.of(0, 1, 2, 3, 4), f), branches(rounded(layers, bits), order, q)))
                    .as(kind + " " + bits)
                    .isEqualTo(expected(q, f));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    void namesThatAreRunningNumbersDoNotMislead(int shift) {
        for (int depth : new int[] {4, 9, 20}) {
            List<SpeltLayer> layers = layers(Kind.PADDED, depth, depth);
            List<String> f = numbered(depth, shift);
            List<String> q = numbered(depth, 0);
            assertThat(pairs(chain(layers, f), chain(rounded(layers, 4), q))).isEqualTo(expected(q, f));
        }
    }

    @Test
    void ofEqualWeightsNamesDecideAndThenTheOrder() {
        SpeltLayer one = layers(Kind.UNPADDED, 1, 1).get(0);
        List<SpeltLayer> shared = List.of(one, one, one);
        List<String> f = List.of("a", "b", "c");
        assertThat(pairs(branches(shared, List.of(0, 1, 2), f), branches(rounded(shared, 4), List.of(2, 0, 1), f)))
                .isEqualTo(expected(f, f));
        List<String> q = List.of("k", "l", "m");
        assertThat(pairs(branches(shared, List.of(0, 1, 2), f), branches(rounded(shared, 4), List.of(0, 1, 2), q)))
                .isEqualTo(expected(q, f));
    }

    @Test
    void roundedToAnyNeighbourAndTunedWeightsArePairs() {
        Random random = new Random(4);
        List<SpeltLayer> layers = layers(Kind.PADDED, 4, 9);
        double step = 0.2;
        List<List<SpeltLayer>> quantised = List.of(
                changed(layers, w -> (random.nextBoolean() ? Math.floor(w / step) : Math.ceil(w / step)) * step),
                changed(layers, w -> Math.rint((w + 0.15 * random.nextGaussian()) / step) * step),
                changed(layers, w -> Math.signum(w) * 0.3));
        for (List<SpeltLayer> q : quantised) {
            assertThat(pairs(chain(layers, numbered(4, 1)), chain(q, numbered(4, 0))))
                    .isEqualTo(expected(numbered(4, 0), numbered(4, 1)));
        }
    }

    @ParameterizedTest
    @EnumSource(Kind.class)
    void aNetworkOfOtherWeightsIsRefusedWithTheFigure(Kind kind) {
        Kind fitting = CHANNELS % kind.group == 0 ? kind : Kind.PADDED;
        for (int seed = 0; seed < 5; seed++) {
            ModelProto floating = chain(layers(fitting, 3, seed));
            ModelProto other = chain(rounded(layers(fitting, 3, seed + 100), 4));
            assertThatThrownBy(() -> correction(floating, other))
                    .isInstanceOf(UnsupportedException.class)
                    .hasMessageContaining("weights differ")
                    .hasMessageMatching("(?s).*alike to -?0\\.\\d\\d only.*");
        }
    }

    @Test
    void ofALayerThatIsAnotherOneOnlyThatOneIsLeftOut() {
        List<SpeltLayer> layers = new ArrayList<>(layers(Kind.PADDED, 4, 3));
        ModelProto floating = chain(layers);
        layers.set(2, layers(Kind.PADDED, 1, 77).get(0));
        BiasCorrection correction = correction(floating, chain(rounded(layers, 4)));
        assertThat(correction.pairing().pairs()).hasSize(3);
        assertThat(correction.pairing().skipped()).hasSize(1).allMatch(s -> s.output()
                .equals("t2"));
    }

    /** Of one shape, weights of a transposed convolution have as many channels as its groups say. */
    @Test
    void transposedConvolutionsOfOtherGroupsAreNoPair() {
        ModelProto floating = transposed(1, 2);
        ModelProto quantized = transposed(2, 4);
        assertThatThrownBy(() -> correction(floating, quantized))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContainingAll("ConvTranspose [4,2,2,2] in 2 groups", "here it is");
        assertThat(correction(quantized, quantized).pairing().pairs()).hasSize(1);
    }

    private static ModelProto transposed(int groups, int channels) {
        GraphBuilder g = new GraphBuilder(1);
        return g.build(g.node(
                "ConvTranspose",
                "a",
                List.of(g.input("x", 4, 5, 5), g.weights("w", 0.3, 4, 2, 2, 2), g.weights("b", 0.3, channels)),
                GraphBuilder.integer("group", groups)));
    }

    @ParameterizedTest
    @ValueSource(ints = {3, 4, 8})
    void modelsThatAreSwappedAreRefused(int bits) {
        ModelProto floating = chain(layers(Kind.PADDED, 3, bits));
        Map<String, NaiveTensor> samples = Toy.samples(floating, 4, 1);
        ModelProto roundedTwin = chain(rounded(layers(Kind.PADDED, 3, bits), bits));
        for (ModelProto quantized : List.of(
                roundedTwin,
                QdqWriter.weights(floating, bits, samples),
                QdqWriter.weightsAndActivations(floating, bits, samples))) {
            assertThat(correction(floating, quantized).pairing().pairs()).hasSize(3);
            assertThatThrownBy(() -> correction(quantized, floating))
                    .isInstanceOf(UnsupportedException.class)
                    .hasMessageContaining("swapped");
        }
    }

    @Test
    void aModelInWhichNothingIsQuantisedIsKnown() {
        ModelProto floating = chain(layers(Kind.PADDED, 3, 1));
        assertThat(correction(floating, floating).nothingToCorrect())
                .hasValueSatisfying(why -> assertThat(why).contains("nothing is quantised", "q.onnx"));
        Map<String, NaiveTensor> samples = Toy.samples(floating, 4, 1);
        assertThat(correction(floating, QdqWriter.weights(floating, 8, samples)).nothingToCorrect())
                .isEmpty();
        assertThat(correction(floating, chain(rounded(layers(Kind.PADDED, 3, 1), 8)))
                        .nothingToCorrect())
                .isEmpty();
    }

    /** Divides each output channel of one layer by a factor and multiplies the next one's input channels by it. */
    private static List<SpeltLayer> equalised(List<SpeltLayer> layers, Random random) {
        SpeltLayer one = layers.get(0);
        SpeltLayer two = layers.get(1);
        double[] factor = new double[CHANNELS];
        Arrays.setAll(factor, i -> Math.exp(random.nextGaussian()));
        double[] w1 = one.weights().clone();
        double[] b1 = one.bias().clone();
        double[] w2 = two.weights().clone();
        int row = w1.length / CHANNELS;
        int taps = w2.length / CHANNELS / CHANNELS;
        Arrays.setAll(w1, i -> one.weights()[i] / factor[i / row]);
        Arrays.setAll(b1, c -> one.bias()[c] / factor[c]);
        Arrays.setAll(w2, i -> two.weights()[i] * factor[i / taps % CHANNELS]);
        List<SpeltLayer> out = new ArrayList<>(layers);
        out.set(0, new SpeltLayer(one.kind(), CHANNELS, CHANNELS, w1, b1));
        out.set(1, new SpeltLayer(two.kind(), CHANNELS, CHANNELS, w2, two.bias()));
        return out;
    }

    @ParameterizedTest
    @ValueSource(ints = {4, 6, 8})
    void equalisedWeightsAreKnownAndOnlyWhatCanBeComparedIsCorrected(int bits) {
        List<SpeltLayer> layers = layers(Kind.PADDED, 3, bits);
        ModelProto floating = chain(layers);
        ModelProto quantized = chain(rounded(equalised(layers, new Random(bits)), bits));
        Map<String, NaiveTensor> samples = Toy.samples(floating, 6, 1);
        for (Reference reference : Reference.values()) {
            CorrectionResult result = ToyCorrectionTest.correct(
                    floating,
                    quantized,
                    samples,
                    CorrectionOptions.builder()
                            .device("cpu")
                            .reference(reference)
                            .build());
            List<String> corrected = result.layers().stream()
                    .filter(l -> l.moments().isPresent())
                    .map(LayerResult::output)
                    .toList();
            assertThat(corrected).isEqualTo(reference == Reference.LAYER ? List.of("t2") : List.of("t1", "t2"));
            assertThat(result.warnings()).anyMatch(w -> w.contains("equalisation") && w.contains("'t0_node'"));
            if (reference == Reference.LAYER) {
                assertThat(result.warnings()).anyMatch(w -> w.contains("`reference` network"));
            }
        }
        ModelProto two = chain(layers.subList(0, 2));
        ModelProto twoQuantized = chain(rounded(equalised(layers.subList(0, 2), new Random(bits)), bits));
        assertThatThrownBy(() -> ToyCorrectionTest.correct(
                        two,
                        twoQuantized,
                        samples,
                        CorrectionOptions.builder().device("cpu").build()))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContainingAll("equalisation", "`reference` network");
    }

    @Test
    void aShiftBeforeZeroPaddingIsNoBias() {
        SpeltLayer layer = layers(Kind.PADDED, 1, 1).get(0);
        float[] h = {0.5f, -1, 2, 0.25f, -0.5f, 1};
        double[] folded = layer.bias().clone();
        for (int i = 0; i < layer.weights().length; i++) {
            folded[i / 54] += layer.weights()[i] * h[i / 9 % CHANNELS];
        }
        SpeltLayer foldedAway = new SpeltLayer(Kind.PADDED, CHANNELS, CHANNELS, layer.weights(), folded);
        assertThatThrownBy(() -> correction(shifted(layer, h), chain(List.of(foldedAway.rounded(4)))))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContaining("before zero padding");
        assertThat(correction(shifted(layer, h), shifted(layer.rounded(4), h))
                        .pairing()
                        .pairs())
                .hasSize(1);
    }

    private static ModelProto shifted(SpeltLayer layer, float[] h) {
        GraphBuilder g = new GraphBuilder(3);
        String data =
                g.node("Add", "shifted", List.of(input(g, Kind.PADDED), g.floats("h", new int[] {CHANNELS, 1, 1}, h)));
        return g.build(layer.write(g, data, "t0", Spelling.FOLDED, new Random(1)));
    }
}
