package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.onnx.proto.OnnxMl.ModelProto;
import dev.rebias.Adjustment;
import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.model.OnnxModel;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import dev.rebias.tensor.HostTensor;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Which layers' weights can be chosen anew, and what asks for that in vain. */
final class AdjustableLayersTest {
    private static final int CHANNELS = 4;
    private static final int SIZE = 6;

    private static CorrectionOptions options(Reference reference) {
        return CorrectionOptions.builder()
                .device("cpu")
                .reference(reference)
                .adjust(Adjustment.WEIGHTS)
                .build();
    }

    private static Samples samples(int... shape) {
        int elements = 1;
        for (int d : shape) {
            elements *= d;
        }
        Random random = new Random(elements);
        float[] values = new float[elements];
        for (int i = 0; i < elements; i++) {
            values[i] = (float) random.nextGaussian();
        }
        long[] dimensions = new long[shape.length];
        for (int i = 0; i < shape.length; i++) {
            dimensions[i] = shape[i];
        }
        return Samples.of(Map.of("x", HostTensor.of(values, dimensions)));
    }

    private static BiasCorrection correction(ModelProto floating) {
        return BiasCorrection.of(OnnxModel.of("f", floating), OnnxModel.of("q", RoundedWeights.of(floating, 4)));
    }

    /** Two convolutions in a row. */
    private static ModelProto convolutions() {
        GraphBuilder g = new GraphBuilder(8);
        String x = g.input("x", 3, SIZE, SIZE);
        String a = g.node("Conv", "a", List.of(x, g.weights("wa", 0.4, CHANNELS, 3, 3, 3)));
        return g.build(g.node("Conv", "b", List.of(a, g.weights("wb", 0.4, 2, CHANNELS, 1, 1))));
    }

    private static BiasCorrection correction() {
        return correction(convolutions());
    }

    @Test
    void rowsOfManyWeightsAreLeftAsTheyAre() {
        GraphBuilder g = new GraphBuilder(8);
        int inputs = 8193;
        ModelProto floating =
                g.build(g.node("Gemm", "fc", List.of(g.input("x", inputs), g.weights("w", 0.4, inputs, 2))));
        BiasCorrection correction = correction(floating);
        try (Samples samples = samples(4, inputs)) {
            assertThatThrownBy(() -> correction.correct(samples, options(Reference.LAYER)))
                    .isInstanceOf(UnsupportedException.class)
                    .hasMessageContaining("'fc_node': each of its outputs has 8193 weights");
        }
    }

    @ParameterizedTest
    @EnumSource(Reference.class)
    void aFootprintIsToldAlsoWhereWeightsAreChosen(Reference reference) {
        BiasCorrection correction = correction();
        try (Samples samples = samples(8, 3, SIZE, SIZE)) {
            assertThat(correction.footprint(samples, options(reference), 8).peak(8))
                    .isPositive();
        }
    }

    @Test
    void aMeasurementChoosesNoWeights() {
        BiasCorrection correction = correction();
        try (Samples samples = samples(8, 3, SIZE, SIZE)) {
            assertThatThrownBy(() -> correction.measure(samples, options(Reference.LAYER)))
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining("`adjust` weights");
        }
    }
}
