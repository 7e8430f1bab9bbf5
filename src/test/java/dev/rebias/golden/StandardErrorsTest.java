package dev.rebias.golden;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.DeviceSession;
import dev.rebias.LayerResult;
import dev.rebias.device.Device;
import dev.rebias.device.Devices;
import dev.rebias.measure.Moments;
import dev.rebias.samples.Batches;
import dev.rebias.samples.Samples;
import dev.rebias.tensor.HostTensor;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

/**
 * Standard errors of corrections against how much corrections really differ from one random set of samples to the next.
 */
final class StandardErrorsTest {
    private static final ReferencePair PAIR = ReferencePair.FASHION_W3A8;
    private static final int SAMPLES = 64;

    /** All the test images there are: 10,000 where the reference data are, else the bundled 2,000. */
    private static HostTensor images(BiasCorrection correction) {
        Path assets = Path.of(System.getProperty("rebias.assets", ""));
        Path file = Files.exists(PAIR.testFile(assets)) ? PAIR.testFile(assets) : PAIR.testFile(Path.of("examples"));
        try (Samples all = Samples.open(file, PAIR.normalization());
                Batches batches =
                        all.without("labels").bind(correction.inputs()).batches(Integer.MAX_VALUE)) {
            return batches.next().get(0);
        }
    }

    private static HostTensor subset(HostTensor images, Random random) {
        long[] shape = images.shape();
        int count = (int) shape[0];
        int each = (int) (images.elements() / count);
        shape[0] = SAMPLES;
        HostTensor subset = HostTensor.zeros(images.type(), shape);
        FloatBuffer from = images.floats();
        int i = 0;
        for (int picked : random.ints(0, count).distinct().limit(SAMPLES).toArray()) {
            subset.floats().put(i++ * each, from, picked * each, each);
        }
        return subset;
    }

    @Test
    void standardErrorsAreWhatCorrectionsDifferBy() {
        BiasCorrection correction = PAIR.correction();
        HostTensor images = images(correction);
        boolean whole = images.shape()[0] == 10_000;
        int subsets = whole ? 200 : 60;
        Random random = new Random(7);
        String input = correction.inputNames().get(0);
        double[][] sums = new double[0][];
        double[][] squares = new double[0][];
        double[] errors = new double[0];
        List<LayerResult> layers = List.of();
        try (Device device = Devices.open("cpu").device()) {
            for (int s = 0; s < subsets; s++) {
                try (Samples samples = Samples.of(Map.of(input, subset(images, random)))) {
                    layers = correction
                            .correct(
                                    samples,
                                    CorrectionOptions.builder()
                                            .perChannel(true)
                                            .outcome(false)
                                            .build(),
                                    DeviceSession.of(device))
                            .layers();
                }
                if (s == 0) {
                    sums = new double[layers.size()][];
                    squares = new double[layers.size()][];
                    errors = new double[layers.size()];
                }
                for (int l = 0; l < layers.size(); l++) {
                    Moments m = layers.get(l).moments().orElseThrow();
                    double[] means = m.perChannel().orElseThrow().meanError();
                    sums[l] = s == 0 ? new double[means.length] : sums[l];
                    squares[l] = s == 0 ? new double[means.length] : squares[l];
                    for (int c = 0; c < means.length; c++) {
                        sums[l][c] += means[c];
                        squares[l][c] += means[c] * means[c];
                        double error = m.standardError(c).orElseThrow();
                        errors[l] += error * error / means.length / subsets;
                    }
                }
            }
        }
        double worst = 0;
        System.out.println("| layer | spread of corrections | their standard errors | ratio |");
        System.out.println("|---|---|---|---|");
        for (int l = 0; l < layers.size(); l++) {
            double variance = 0;
            for (int c = 0; c < sums[l].length; c++) {
                double mean = sums[l][c] / subsets;
                variance += (squares[l][c] / subsets - mean * mean) * subsets / (subsets - 1) / sums[l].length;
            }
            double ratio = Math.sqrt(errors[l] / variance);
            System.out.printf(
                    "| %s | %.5f | %.5f | %.3f |%n",
                    layers.get(l).name(), Math.sqrt(variance), Math.sqrt(errors[l]), ratio);
            worst = Math.max(worst, Math.abs(ratio - 1));
        }
        System.out.printf("the worst ratio is %.1f %% from 1, over %d subsets of %d%n", 100 * worst, subsets, SAMPLES);
        assertThat(worst).isLessThan(whole ? 0.15 : 0.25);
    }
}
