package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import dev.rebias.error.CancelledException;
import dev.rebias.model.OnnxModel;
import dev.rebias.outcome.NetworkDistance;
import dev.rebias.outcome.Networks;
import dev.rebias.outcome.Outcome;
import dev.rebias.outcome.OutcomeMeasurement;
import dev.rebias.report.OutcomeText;
import dev.rebias.samples.BoundSamples;
import dev.rebias.samples.InputSpec;
import dev.rebias.samples.Samples;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Distances between whole networks' outputs, against sums formed by hand. */
final class OutcomeTest {
    private static final int SAMPLES = 10;
    private static final float[] VALUES = values();

    private static float[] values() {
        float[] values = new float[2 * SAMPLES];
        for (int i = 0; i < values.length; i++) {
            values[i] = (i * 7 % 11 - 5) / 4f;
        }
        return values;
    }

    /** y = x W' + b over two values: for each sample [x0 + b0, x1 + b1], then what the end makes of it. */
    private static OnnxModel network(float b0, float b1, boolean quantizedOutput) {
        GraphBuilder g = new GraphBuilder(1);
        String x = g.input("x", 2);
        String w = g.floats("w", new int[] {2, 2}, 1, 0, 0, 1);
        String y = g.node("Gemm", quantizedOutput ? "raw" : "y", List.of(x, w, g.floats("b", new int[] {2}, b0, b1)));
        if (quantizedOutput) {
            String scale = g.floats("scale", new int[0], 1 / 64f);
            String zero = g.tensor(TensorProto.newBuilder()
                    .setName("zero")
                    .setDataType(ElementType.UINT8.onnxCode())
                    .addInt32Data(128)
                    .build());
            g.node("QuantizeLinear", "y", List.of(y, scale, zero));
        }
        ModelProto model = g.build("y");
        if (quantizedOutput) {
            ModelProto.Builder typed = model.toBuilder();
            typed.getGraphBuilder()
                    .getOutputBuilder(0)
                    .getTypeBuilder()
                    .getTensorTypeBuilder()
                    .setElemType(ElementType.UINT8.onnxCode());
            model = typed.build();
        }
        return OnnxModel.of("network", model);
    }

    private static Outcome measure(OnnxModel floating, OnnxModel before, OnnxModel after, int samples, int batch) {
        BoundSamples bound = Samples.of(Map.of("x", HostTensor.of(VALUES, SAMPLES, 2)))
                .bind(List.of(new InputSpec("x", ElementType.FLOAT, new long[] {-1, 2})));
        List<NetworkDistance> distances = OutcomeMeasurement.measure(
                new Networks(floating, List.of(before, after), v -> Map.of("x", v.get(0)), v -> Map.of("x", v.get(0))),
                bound.spread(samples),
                batch);
        return Outcome.of(distances.get(0), distances.get(1), false, 0);
    }

    @Test
    void distancesAreMeanSquaresOverSamplesAndElements() {
        for (int batch : new int[] {1, 2, 5, 10}) {
            Outcome outcome =
                    measure(network(0, 0, false), network(0.5f, 0, false), network(0, -0.25f, false), 10, batch);
            double power = 0;
            for (float v : VALUES) {
                power += v * v / (double) VALUES.length;
            }
            Outcome.Output y = outcome.outputs().get(0);
            assertThat(y.name()).isEqualTo("y");
            assertThat(y.signalPower()).isCloseTo(power, within(1e-6));
            assertThat(y.errorBefore()).isCloseTo(0.5 * 0.5 / 2, within(1e-7));
            assertThat(y.errorAfter()).isCloseTo(0.25 * 0.25 / 2, within(1e-7));
            assertThat(outcome.change()).isCloseTo((0.0625 - 0.25) / (2 * power), within(1e-6));
            assertThat(outcome.standardError()).isCloseTo(0, within(1e-7));
            assertThat(outcome.isWorse()).isFalse();
            int agreed = 0;
            for (int i = 0; i < SAMPLES; i++) {
                agreed += (VALUES[2 * i + 1] > VALUES[2 * i]) == (VALUES[2 * i + 1] > VALUES[2 * i] + 0.5f) ? 1 : 0;
            }
            assertThat(y.largest().orElseThrow().before()).isCloseTo(agreed / 10.0, within(1e-9));
        }
    }

    @Test
    void aLargerErrorIsWorseAndNoOtherErrorIsNot() {
        OnnxModel floating = network(0, 0, false);
        assertThat(measure(floating, network(0.1f, 0, false), network(0.2f, 0, false), 10, 1)
                        .isWorse())
                .isTrue();
        assertThat(measure(floating, network(0.2f, 0, false), network(0.2f, 0, false), 10, 1)
                        .isWorse())
                .isFalse();
        assertThat(measure(floating, floating, floating, 10, 1).isWorse()).isFalse();
        assertThat(measure(floating, floating, network(Float.NaN, 0, false), 10, 1)
                        .isWorse())
                .isTrue();
    }

    private static Outcome changed(double change, double standardError, boolean heldOut) {
        List<Outcome.Output> one = List.of(new Outcome.Output("y", 1, 1, 1 + change, 1, 1, Optional.empty()));
        return new Outcome(4, heldOut, one, List.of(), 1, change, standardError, 2, 2, 0);
    }

    @Test
    void aChangeWithinItsNoiseIsNotWorse() {
        assertThat(changed(0.01, 0.02, false).verdict()).isEqualTo(Outcome.Verdict.UNDECIDED);
        assertThat(changed(0.05, 0.02, false).verdict()).isEqualTo(Outcome.Verdict.WORSE);
        assertThat(changed(-0.01, 0.02, false).verdict()).isEqualTo(Outcome.Verdict.UNDECIDED);
        assertThat(changed(-0.05, 0.02, false).verdict()).isEqualTo(Outcome.Verdict.BETTER);
        assertThat(changed(0, 0, false).verdict()).isEqualTo(Outcome.Verdict.UNDECIDED);
        assertThat(new Outcome(4, false, List.of(), List.of(), 1, 1, 0, 0, 4, 0).verdict())
                .isEqualTo(Outcome.Verdict.UNKNOWN);
    }

    @Test
    void ofOneSampleNoChangeIsMoreThanChance() {
        OnnxModel floating = network(0, 0, false);
        Outcome nearer = measure(floating, network(0.2f, 0, false), network(0.1f, 0, false), 1, 1);
        Outcome further = measure(floating, network(0.1f, 0, false), network(0.2f, 0, false), 1, 1);
        assertThat(nearer.standardError()).isInfinite();
        assertThat(nearer.verdict()).isEqualTo(Outcome.Verdict.UNDECIDED);
        assertThat(further.verdict()).isEqualTo(Outcome.Verdict.UNDECIDED);
        assertThat(measure(floating, floating, network(Float.NaN, 0, false), 1, 1)
                        .isWorse())
                .isTrue();
    }

    @Test
    void aShareOfNoErrorIsADash() {
        OnnxModel floating = network(0, 0, false);
        assertThat(OutcomeText.share(measure(floating, floating, floating, 10, 1)))
                .isEqualTo("-");
        assertThat(OutcomeText.share(measure(floating, floating, network(0.1f, 0, false), 10, 1)))
                .isEqualTo("-");
        assertThat(OutcomeText.share(measure(floating, network(0.2f, 0, false), network(0.1f, 0, false), 10, 1)))
                .isEqualTo("25 %");
        assertThat(OutcomeText.share(measure(floating, network(0.2f, 0, false), network(0.7f, 0, false), 10, 1)))
                .isEqualTo("1225 %");
    }

    @Test
    void onHeldOutSamplesARiseOfMoreThanAPerCentIsWorseWhateverItsNoise() {
        assertThat(changed(0.011, 0.02, true).isWorse()).isTrue();
        assertThat(changed(0.009, 0.02, true).isWorse()).isFalse();
        assertThat(changed(0.011, 0.02, false).isWorse()).isFalse();
        assertThat(changed(Double.NaN, Double.NaN, true).isWorse()).isTrue();
    }

    @Test
    void theCosineIsThatOfAllSamplesAsOneVector() {
        Outcome outcome = measure(network(0, 0, false), network(0.5f, 0, false), network(0, 0, false), 10, 1);
        double products = 0;
        double own = 0;
        double others = 0;
        for (int i = 0; i < VALUES.length; i++) {
            double other = VALUES[i] + (i % 2 == 0 ? 0.5 : 0);
            products += VALUES[i] * other;
            own += VALUES[i] * VALUES[i];
            others += other * other;
        }
        assertThat(outcome.outputs().get(0).cosineBefore()).isCloseTo(products / Math.sqrt(own * others), within(1e-6));
        assertThat(outcome.outputs().get(0).cosineAfter()).isCloseTo(1, within(1e-12));
        assertThat(outcome.verdict()).isEqualTo(Outcome.Verdict.BETTER);
    }

    @Test
    void quantisedOutputsAreComparedAsFloats() {
        Outcome outcome = measure(network(0, 0, false), network(0.5f, 0.5f, true), network(0.25f, 0.25f, true), 10, 1);
        assertThat(outcome.notCompared()).isEmpty();
        // Every value is a multiple of 1/64 within the range.
        assertThat(outcome.outputs().get(0).errorBefore()).isCloseTo(0.25, within(1e-6));
        assertThat(outcome.outputs().get(0).errorAfter()).isCloseTo(0.0625, within(1e-6));
    }

    @Test
    void samplesAreSpreadOverTheWholeSet() {
        BoundSamples all = Samples.of(Map.of("x", HostTensor.of(VALUES, SAMPLES, 2)))
                .bind(List.of(new InputSpec("x", ElementType.FLOAT, new long[] {-1, 2})));
        for (int[] expected : new int[][] {{5}, {2, 7}, {1, 5, 8}, {1, 3, 5, 7, 9}}) {
            for (int batch = 1; batch <= expected.length; batch++) {
                try (var batches = all.spread(expected.length).batches(batch)) {
                    int at = 0;
                    while (batches.hasNext()) {
                        HostTensor next = batches.next().get(0);
                        for (int i = 0; i < next.shape()[0]; i++, at++) {
                            assertThat(next.floats().get(2 * i)).isEqualTo(VALUES[2 * expected[at]]);
                            assertThat(next.floats().get(2 * i + 1)).isEqualTo(VALUES[2 * expected[at] + 1]);
                        }
                    }
                    assertThat(at).isEqualTo(expected.length);
                }
            }
        }
    }

    /** Of 19 samples 14 come by chance once in 31 times, 15 once in 104. */
    @Test
    void errorsThatFallOnMoreSamplesThanChanceExplainsAreBetterHoweverLargeTheStandardError() {
        List<Outcome.Output> one = List.of(new Outcome.Output("y", 1, 1, 0.5, 1, 1, Optional.empty()));
        for (int nearer = 0; nearer <= 19; nearer++) {
            assertThat(new Outcome(19, true, one, List.of(), 1, -0.5, 0.4, nearer, 19 - nearer, 0).verdict())
                    .isEqualTo(nearer >= 15 ? Outcome.Verdict.BETTER : Outcome.Verdict.UNDECIDED);
        }
        assertThat(new Outcome(19, true, one, List.of(), 1, 0.005, 0.4, 19, 0, 0).verdict())
                .as("a mean that rose")
                .isEqualTo(Outcome.Verdict.UNDECIDED);
        assertThat(new Outcome(1, true, one, List.of(), 1, -0.5, Double.POSITIVE_INFINITY, 1, 0, 0).verdict())
                .isEqualTo(Outcome.Verdict.UNDECIDED);
    }

    /** 0.5^n is no double above 1,074. */
    @Test
    void ofMoreThanAThousandSamplesTheSignTestIsTheSame() {
        List<Outcome.Output> one = List.of(new Outcome.Output("y", 1, 1, 0.5, 1, 1, Optional.empty()));
        for (int n : new int[] {900, 1000, 1001, 1074, 1075, 1100, 5000}) {
            int half = n / 2;
            int some = (int) Math.sqrt(n);
            for (int more : new int[] {-some, 0, 4 * some / 5, 6 * some / 5, n / 7, half}) {
                boolean nearer = more > some;
                assertThat(new Outcome(n, true, one, List.of(), 1, -0.5, 0.4, half + more, n - half - more, 0)
                                .verdict())
                        .as(half + more + " of " + n)
                        .isEqualTo(nearer ? Outcome.Verdict.BETTER : Outcome.Verdict.UNDECIDED);
            }
        }
        assertThat(new Outcome(1100, true, one, List.of(), 1, -0.5, 0.4, 700, 400, 0).verdict())
                .isEqualTo(Outcome.Verdict.BETTER);
    }

    @Test
    void anInterruptedMeasurementEnds() {
        OnnxModel network = network(0, 0, false);
        Thread.currentThread().interrupt();
        try {
            assertThatThrownBy(() -> measure(network, network, network, 10, 1))
                    .isInstanceOf(CancelledException.class)
                    .hasMessageContaining("interrupted");
            assertThat(Thread.interrupted()).isTrue();
        } finally {
            // No other test is interrupted where this one fails.
            Thread.interrupted();
        }
    }
}
