package dev.rebias.golden;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.LayerResult;
import dev.rebias.device.Emulator;
import dev.rebias.device.TestDevices;
import dev.rebias.keras.KerasModel;
import dev.rebias.measure.Moments;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Corrections of quantised Keras models against those of an independent implementation of cnn2snn's bias correction.
 * The bounds are those that the golden files were published with: against the engine's own corrections and errors 5e-4
 * of the layer's largest correction, 5e-4 relative; against the double-precision reference 1e-6 of the layer's largest
 * correction, and half a unit in the last place of the float32 bias that takes it up.
 */
@Tag("cuda")
final class KerasGoldenTest {
    private static final double ENGINE = 5e-4;
    private static final double DOUBLES = 1e-6;

    /** A golden file and how it was made. */
    private enum Golden {
        ALL("golden-256.npz", 256, 256, Reference.LAYER),
        BATCHES("golden-256-b64.npz", 256, 64, Reference.LAYER),
        REMAINDER_DROPPED("golden-250-b64.npz", 192, 64, Reference.LAYER),
        NETWORK("golden-256-network.npz", 256, 64, Reference.NETWORK);

        private final String file;
        private final int samples;
        private final int batchSize;
        private final Reference reference;

        Golden(String file, int samples, int batchSize, Reference reference) {
            this.file = file;
            this.samples = samples;
            this.batchSize = batchSize;
            this.reference = reference;
        }
    }

    /** One network lies there in three forms of file; the emulator, which takes its time, is given one of them. */
    static Stream<Arguments> devicesAndModels() {
        Set<KerasExample> left = GoldenTest.brief()
                ? EnumSet.of(KerasExample.W4A4_KERAS3, KerasExample.W4A4_ARCHIVE)
                : EnumSet.noneOf(KerasExample.class);
        return TestDevices.names().stream().flatMap(device -> Arrays.stream(KerasExample.values())
                .filter(model -> !left.contains(model))
                .map(model -> Arguments.of(device, model)));
    }

    /** What the emulator is given where the models, which have the same layers, differ in weights alone. */
    static Stream<Arguments> devicesAndOneModelOnTheEmulator() {
        return devicesAndModels().filter(a -> !GoldenTest.briefOnTheEmulator() || a.get()[1] == KerasExample.W4A4);
    }

    /** On the emulator each model goes through in one way of dividing the samples by the reference layer. */
    private static Set<Golden> goldens(KerasExample example) {
        if (!GoldenTest.briefOnTheEmulator()) {
            return EnumSet.allOf(Golden.class);
        }
        return switch (example) {
            case W3A4 -> EnumSet.of(Golden.REMAINDER_DROPPED, Golden.NETWORK);
            case W2A4_STD -> EnumSet.of(Golden.ALL, Golden.NETWORK);
            default -> EnumSet.of(Golden.BATCHES, Golden.NETWORK);
        };
    }

    @ParameterizedTest
    @MethodSource("devicesAndModels")
    void correctionsMeetTheGoldenCorrections(String device, KerasExample example) {
        KerasModel quantized = example.model();
        for (Golden golden : goldens(example)) {
            KerasModel floating =
                    golden.reference == Reference.LAYER ? quantized : KerasModel.read(KerasExample.floatFile());
            compare(example, golden, correct(device, floating, quantized, golden, true));
        }
    }

    @ParameterizedTest
    @MethodSource("devicesAndOneModelOnTheEmulator")
    void theClosedFormMeetsThemToo(String device, KerasExample example) {
        KerasModel model = example.model();
        CorrectionResult layer = correct(device, model, model, Golden.BATCHES, false);
        report(example, Golden.BATCHES, "closed form on " + device, worst(example, Golden.BATCHES, layer));
        KerasModel floating = KerasModel.read(KerasExample.floatFile());
        CorrectionResult network = correct(device, floating, model, Golden.NETWORK, false);
        report(example, Golden.NETWORK, "closed form on " + device, worst(example, Golden.NETWORK, network));
    }

    @ParameterizedTest
    @MethodSource("devicesAndOneModelOnTheEmulator")
    void aFloatModelWhoseNormalizationsAreNotFoldedGivesTheSame(String device, KerasExample example) {
        KerasModel floating = KerasModel.read(KerasExample.floatFileWithNormalizations());
        CorrectionResult result = correct(device, floating, example.model(), Golden.NETWORK, true);
        report(example, Golden.NETWORK, "normalisations not folded", worst(example, Golden.NETWORK, result));
    }

    private static CorrectionResult correct(
            String device, KerasModel floating, KerasModel quantized, Golden golden, boolean errors) {
        BiasCorrection correction = BiasCorrection.of(floating.floating(), quantized.quantized());
        CorrectionOptions options = CorrectionOptions.builder()
                .device(device)
                .reference(golden.reference)
                .errors(errors)
                .batchSize(golden.batchSize)
                .perChannel(errors)
                .build();
        try (Samples samples = KerasExample.samples()) {
            CorrectionResult result = correction.correct(samples.limit(golden.samples), options);
            assertThat(result.device().emulated()).isEqualTo(Emulator.present());
            assertThat(result.samples()).isEqualTo(golden.samples);
            return result;
        }
    }

    private static Map<String, Moments> moments(CorrectionResult result) {
        Map<String, Moments> moments = new HashMap<>();
        for (LayerResult layer : result.layers()) {
            moments.put(layer.name(), layer.moments().orElseThrow());
        }
        assertThat(moments).containsOnlyKeys(KerasExample.LAYERS);
        return moments;
    }

    /**
     * What share of its bound the worst correction takes up: against the engine's corrections, and against the
     * double-precision ones.
     */
    private static double[] worst(KerasExample example, Golden golden, CorrectionResult result) {
        double[] worst = new double[2];
        moments(result).forEach((layer, m) -> {
            double[] engine = example.golden(golden.file, "delta:" + layer);
            double largest = Arrays.stream(engine).map(Math::abs).max().orElseThrow();
            for (int c = 0; c < m.channels(); c++) {
                worst[0] = Math.max(worst[0], Math.abs(m.delta()[c] - engine[c]) / (ENGINE * largest));
            }
            // The corrections against the float network are published as the engine's alone.
            if (golden.reference == Reference.LAYER) {
                double[] doubles = example.golden(golden.file, "delta64:" + layer);
                double[] bias = example.golden(golden.file, "bias:" + layer);
                for (int c = 0; c < m.channels(); c++) {
                    double bound = DOUBLES * largest + Math.ulp((float) bias[c]) / 2;
                    worst[1] = Math.max(worst[1], Math.abs(m.delta()[c] - doubles[c]) / bound);
                }
            }
        });
        return worst;
    }

    private static void report(KerasExample example, Golden golden, String how, double[] worst) {
        System.out.printf(
                "%s, %s, %s: worst correction at %.1f %% of the bound around the engine's, %.1f %% of that around "
                        + "double precision%n",
                example, golden, how, 100 * worst[0], 100 * worst[1]);
        assertThat(worst[0])
                .as("%s %s: share of the bound, engine", example, golden)
                .isLessThanOrEqualTo(1);
        assertThat(worst[1])
                .as("%s %s: share of the bound, double precision", example, golden)
                .isLessThanOrEqualTo(1);
    }

    private static void compare(KerasExample example, Golden golden, CorrectionResult result) {
        report(example, golden, "errors measured on " + result.device().kind(), worst(example, golden, result));
        moments(result).forEach((layer, m) -> {
            double before = example.golden(golden.file, "mse_before:" + layer)[0];
            double after = example.golden(golden.file, "mse_after:" + layer)[0];
            assertThat(m.measured().mseBefore() / before - 1)
                    .as("MSE before, " + layer)
                    .isBetween(-ENGINE, ENGINE);
            assertThat(m.measured().mseAfter() / after - 1)
                    .as("MSE after, " + layer)
                    .isBetween(-ENGINE, ENGINE);
        });
    }
}
