package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.device.Tensor;
import dev.rebias.golden.ReferencePair;
import dev.rebias.measure.Biases;
import dev.rebias.measure.Measurement;
import dev.rebias.measure.Moments;
import dev.rebias.measure.Role;
import dev.rebias.measure.TestMeasurements;
import dev.rebias.op.BiasGrid;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import dev.rebias.tensor.HostTensor;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** What depends on the batch size on a card, and what does not. */
@Tag("cuda")
@Tag("emulator")
final class BatchesOnCardTest {
    /**
     * Corrections may differ by this share of a layer's RMS error between batch sizes: last bits, and the activations
     * that these tip over.
     */
    private static final double BOUND = 1e-2;

    private static HostTensor rows(float[] values, long[] shape, int first, int n) {
        int row = (int) (values.length / shape[0]);
        long[] part = shape.clone();
        part[0] = n;
        return HostTensor.of(Arrays.copyOfRange(values, first * row, (first + n) * row), part);
    }

    /** Planes of every remainder modulo 16 bytes: where one begins depends on the sample's row in its batch. */
    @ParameterizedTest
    @CsvSource({"3,7,7", "5,1,1", "2,3,3", "3,1,2", "7,5,5", "1,11,13", "3,47,47", "2,45,46", "1,91,91", "3,14,14"})
    void aSamplesErrorMomentsAreTheSameBitsInEveryRowOfEveryBatch(int channels, int height, int width) {
        int samples = 7;
        long[] shape = {samples, channels, height, width};
        Random random = new Random(channels * 100L + height);
        float[] errors = new float[samples * channels * height * width];
        float[] outputs = new float[errors.length];
        for (int i = 0; i < errors.length; i++) {
            errors[i] = (float) random.nextGaussian();
            outputs[i] = (float) random.nextGaussian();
        }
        try (CudaDevice device = CudaDevice.open(0)) {
            Moments expected = moments(device, shape, errors, outputs, samples);
            for (int batch : new int[] {1, 2, 3, 5}) {
                Moments actual = moments(device, shape, errors, outputs, batch);
                assertThat(actual.errors()).as("batches of %d", batch).isEqualTo(expected.errors());
                assertThat(actual.perChannel().orElseThrow().meanError())
                        .as("batches of %d", batch)
                        .isEqualTo(expected.perChannel().orElseThrow().meanError());
                assertThat(actual.perChannel().orElseThrow().squaredSampleMeans())
                        .as("batches of %d", batch)
                        .isEqualTo(expected.perChannel().orElseThrow().squaredSampleMeans());
            }
        }
    }

    private static Moments moments(CudaDevice device, long[] shape, float[] errors, float[] outputs, int batch) {
        int channels = (int) shape[1];
        double[] reference = new double[channels];
        Arrays.setAll(reference, c -> 0.1 * c);
        Biases biases = new Biases(new double[channels], reference, BiasGrid.FLOAT);
        try (Measurement moments = TestMeasurements.errors(device, 1, biases, false)) {
            for (int first = 0, n = 0; first < shape[0]; first += batch, n++) {
                int rows = (int) Math.min(batch, shape[0] - first);
                try (Tensor e = device.upload(rows(errors, shape, first, rows));
                        Tensor y = device.upload(rows(outputs, shape, first, rows))) {
                    moments.add(Role.OUTPUTS, List.of(e, y), n, rows);
                }
            }
            moments.solve();
            return moments.read(true);
        }
    }

    @ParameterizedTest
    @EnumSource(Reference.class)
    void correctionsOfOtherBatchSizesStayWithinAShareOfTheError(Reference reference) {
        CorrectionResult one = correct(reference, 1);
        double worst = 0;
        for (int batchSize : new int[] {7, 48}) {
            CorrectionResult other = correct(reference, batchSize);
            for (int i = 0; i < one.layers().size(); i++) {
                Moments a = one.layers().get(i).moments().orElseThrow();
                Moments b = other.layers().get(i).moments().orElseThrow();
                double bound = BOUND * Math.sqrt(a.measured().mseBefore());
                for (int c = 0; c < a.channels(); c++) {
                    worst = Math.max(worst, Math.abs(a.delta()[c] - b.delta()[c]) / bound);
                }
            }
        }
        System.out.printf("%s: batch sizes 1, 7 and 48 differ by %.2f %% of the bound%n", reference, 100 * worst);
        assertThat(worst).isLessThan(1);
    }

    private static CorrectionResult correct(Reference reference, int batchSize) {
        CorrectionOptions options = CorrectionOptions.builder()
                .device("cuda")
                .reference(reference)
                .batchSize(batchSize)
                .build();
        try (Samples all = ReferencePair.FASHION_W3A8.samples()) {
            return ReferencePair.FASHION_W3A8.correction().correct(all.limit(48), options);
        }
    }
}
