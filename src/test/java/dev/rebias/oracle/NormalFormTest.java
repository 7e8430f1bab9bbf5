package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnx.proto.OnnxMl.ModelProto;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.device.TestDevices;
import dev.rebias.oracle.SpeltLayer.Kind;
import dev.rebias.oracle.SpeltLayer.Spelling;
import dev.rebias.sweep.Reference;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What one file folds into weights and biases and the other keeps in nodes of its own makes no difference to what the
 * corrected network computes, whichever file it is.
 */
@Tag("cuda")
final class NormalFormTest {
    private static final int SAMPLES = 9;
    private static final int BITS = 3;

    /**
     * Of what the correction changes in the network's output, by how much spellings may move it: weights and biases of
     * another spelling are rounded to float32 elsewhere.
     */
    private static final double TOLERANCE = 1e-3;

    private static Stream<Arguments> kinds() {
        return TestDevices.names().stream()
                .flatMap(device -> Arrays.stream(Kind.values()).flatMap(kind -> Arrays.stream(Reference.values())
                        .map(reference -> Arguments.of(device, kind, reference))));
    }

    /** A small network of layers of one kind, and its rounded twin. */
    private static final class Network {
        private final Kind kind;
        private final List<SpeltLayer> layers = new ArrayList<>();
        private final Random random;
        private int opset = 11;

        Network(Kind kind, long seed) {
            this.kind = kind;
            this.random = new Random(seed);
            int depth = kind == Kind.STRIDED ? 2 : 3;
            int last = kind == Kind.DEPTHWISE || kind == Kind.GROUPED || kind == Kind.TRANSPOSED ? 4 : 5;
            for (int i = 0; i < depth; i++) {
                layers.add(SpeltLayer.random(kind, 4, i < depth - 1 ? 4 : last, random));
            }
        }

        ModelProto model(int bits, List<Spelling> spellings, boolean named) {
            opset = opset == 17 ? 11 : opset + 1;
            GraphBuilder g = new GraphBuilder(1).opset(Math.max(12, opset));
            int[] dims = new int[kind.spatial + 1];
            Arrays.fill(dims, 8);
            dims[0] = 4;
            String x = g.input("x", kind == Kind.TRANSPOSED ? new int[] {4, 3, 3} : dims);
            for (int i = 0; i < layers.size(); i++) {
                SpeltLayer layer = bits == 0 ? layers.get(i) : layers.get(i).rounded(bits);
                String y = layer.write(g, x, (named ? "layer" : "other" + bits + "_") + i, spellings.get(i), random);
                x = g.node("Relu", "r" + i, List.of(y));
            }
            return g.build(x);
        }

        ModelProto model(int bits, Spelling spelling) {
            return model(bits, layers.stream().map(l -> spelling).toList(), random.nextBoolean());
        }
    }

    private static CorrectionResult correct(
            String device,
            ModelProto floating,
            ModelProto quantized,
            Map<String, NaiveTensor> samples,
            Reference reference) {
        return ToyCorrectionTest.correct(
                floating,
                quantized,
                samples,
                CorrectionOptions.builder()
                        .reference(reference)
                        .batchSize(4)
                        .device(device)
                        .build());
    }

    private static double[] output(ModelProto model, Map<String, NaiveTensor> samples) {
        return new NaiveNetwork(model)
                .run(samples)
                .get(model.getGraph().getOutput(0).getName())
                .values();
    }

    private static double rms(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += (a[i] - b[i]) * (a[i] - b[i]);
        }
        return Math.sqrt(sum / a.length);
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void everySpellingGivesTheSameCorrectedNetwork(String device, Kind kind, Reference reference) {
        Network network = new Network(kind, 5L * List.of(Kind.values()).indexOf(kind));
        ModelProto folded = network.model(0, Spelling.FOLDED);
        ModelProto rounded = network.model(BITS, Spelling.FOLDED);
        Map<String, NaiveTensor> samples = Toy.samples(folded, SAMPLES, 3);
        CorrectionResult first = correct(device, folded, rounded, samples, reference);
        double[] expected = output(first.model().proto(), samples);
        double[] uncorrected = output(rounded, samples);
        double effect = rms(expected, uncorrected);
        assertThat(effect).isGreaterThan(0.01 * rms(uncorrected, new double[uncorrected.length]));
        List<Spelling> spellings =
                Arrays.stream(Spelling.values()).filter(s -> s.fits(kind)).toList();
        int compared = 0;
        // The emulated card takes its time.
        int every = device.equals("cpu") ? 1 : 8;
        for (int i = 0; i < spellings.size(); i += every) {
            Spelling one = spellings.get(i);
            Spelling next = spellings.get((i + 3) % spellings.size());
            for (List<ModelProto> pair : List.of(
                    List.of(network.model(0, one), rounded),
                    List.of(folded, network.model(BITS, one)),
                    List.of(network.model(0, one), network.model(BITS, one)),
                    List.of(network.model(0, one), network.model(BITS, next)))) {
                String what =
                        device + " " + kind + " " + reference + ": " + one + ", " + next + " pair " + compared % 4;
                // Spellings are worth something only if they compute the same before.
                assertThat(rms(output(pair.get(1), samples), uncorrected))
                        .as(what)
                        .isLessThan(1e-5);
                CorrectionResult result = correct(device, pair.get(0), pair.get(1), samples, reference);
                assertThat(result.layers()).as(what).allMatch(l -> l.moments().isPresent());
                assertThat(rms(output(result.model().proto(), samples), expected))
                        .as(what)
                        .isLessThan(TOLERANCE * effect);
                compared++;
            }
        }
        assertThat(compared).isGreaterThan(device.equals("cpu") ? 60 : 7);
    }

    private static Stream<Arguments> mixtures() {
        return TestDevices.names().stream().flatMap(device -> Stream.iterate(0L, s -> s + 1)
                .limit(device.equals("cpu") ? 40 : 5)
                .map(seed -> Arguments.of(device, seed)));
    }

    @ParameterizedTest
    @MethodSource("mixtures")
    void everyMixtureOfSpellingsDoes(String device, long seed) {
        Random random = new Random(seed);
        Kind kind = List.of(Kind.values()).get(random.nextInt(Kind.values().length));
        Reference reference = List.of(Reference.values()).get(random.nextInt(2));
        Network network = new Network(kind, seed);
        ModelProto folded = network.model(0, Spelling.FOLDED);
        ModelProto rounded = network.model(BITS, Spelling.FOLDED);
        Map<String, NaiveTensor> samples = Toy.samples(folded, SAMPLES, seed);
        double[] expected = output(
                correct(device, folded, rounded, samples, reference).model().proto(), samples);
        double effect = rms(expected, output(rounded, samples));
        List<Spelling> f = new ArrayList<>();
        List<Spelling> q = new ArrayList<>();
        for (int i = 0; i < network.layers.size(); i++) {
            f.add(any(kind, random));
            q.add(any(kind, random));
        }
        CorrectionResult result = ToyCorrectionTest.correct(
                network.model(0, f, true),
                network.model(BITS, q, true),
                samples,
                CorrectionOptions.builder()
                        .reference(reference)
                        .errors(random.nextBoolean())
                        .device(device)
                        .build());
        assertThat(rms(output(result.model().proto(), samples), expected))
                .as("%s %s: float %s, quantised %s", kind, reference, f, q)
                .isLessThan(TOLERANCE * effect);
    }

    /** A BatchNormalization between two layers belongs to whichever of them the other file has folded it into. */
    @ParameterizedTest
    @MethodSource("mixtures")
    void aScaleBetweenTwoLayersGoesWithEitherOfThem(String device, long seed) {
        Random random = new Random(seed);
        Kind kind = random.nextBoolean() ? Kind.UNPADDED : Kind.DENSE;
        SpeltLayer one = SpeltLayer.random(kind, 4, 4, random);
        SpeltLayer two = SpeltLayer.random(kind, 4, 5, random);
        ModelProto between = twoLayers(one, Spelling.FOLDED, two, Spelling.BATCH_NORMALIZATION_BEFORE, seed);
        ModelProto folded = twoLayers(one, Spelling.FOLDED, two, Spelling.FOLDED, seed);
        ModelProto rounded = twoLayers(one.rounded(4), Spelling.FOLDED, two.rounded(4), Spelling.FOLDED, seed);
        ModelProto roundedBetween =
                twoLayers(one.rounded(4), Spelling.FOLDED, two.rounded(4), Spelling.BATCH_NORMALIZATION_BEFORE, seed);
        Map<String, NaiveTensor> samples = Toy.samples(folded, SAMPLES, seed);
        for (Reference reference : Reference.values()) {
            double[] expected = output(
                    correct(device, folded, rounded, samples, reference).model().proto(), samples);
            double effect = rms(expected, output(rounded, samples));
            for (List<ModelProto> pair : List.of(List.of(between, rounded), List.of(folded, roundedBetween))) {
                double[] found = output(
                        correct(device, pair.get(0), pair.get(1), samples, reference)
                                .model()
                                .proto(),
                        samples);
                assertThat(rms(found, expected)).as("%s %s", kind, reference).isLessThan(TOLERANCE * effect);
            }
        }
    }

    private static ModelProto twoLayers(SpeltLayer one, Spelling first, SpeltLayer two, Spelling second, long seed) {
        GraphBuilder g = new GraphBuilder(1);
        String x = one.kind() == Kind.DENSE ? g.input("x", 4) : g.input("x", 4, 8, 8);
        String y = one.write(g, x, "one", first, new Random(seed));
        return g.build(two.write(g, y, "two", second, new Random(seed)));
    }

    private static Spelling any(Kind kind, Random random) {
        List<Spelling> fitting =
                Arrays.stream(Spelling.values()).filter(s -> s.fits(kind)).toList();
        return fitting.get(random.nextInt(fitting.size()));
    }
}
