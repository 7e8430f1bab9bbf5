package dev.rebias.sweep;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.golden.ReferencePair;
import dev.rebias.measure.Moments;
import dev.rebias.model.Graph;
import dev.rebias.model.GraphReader;
import dev.rebias.model.LayerPair;
import dev.rebias.model.OnnxModel;
import dev.rebias.model.Pairing;
import dev.rebias.op.BiasGrid;
import dev.rebias.samples.InputSpec;
import dev.rebias.samples.Samples;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** On the CPU a correction's bits depend neither on the batch size nor on the number of threads. */
final class SameBitsTest {
    @ParameterizedTest
    @CsvSource({
        "FASHION_W3A8, LAYER, true, 512",
        "FASHION_W3A8, NETWORK, true, 512",
        "FASHION_W3A8, NETWORK, false, 64",
        "FASHION_W3A8, LAYER, false, 512",
        "OCR_W4A8, LAYER, true, 96",
        "OCR_W4A8, NETWORK, true, 96",
        "OCR_W4A8, NETWORK, false, 96",
        "OCR_W4A8, LAYER, false, 96"
    })
    void batchSizesAndThreadsGiveTheSameBits(ReferencePair pair, Reference reference, boolean errors, int samples) {
        List<Moments> expected = sweep(pair, reference, errors, samples, 1, 1);
        assertThat(expected).anyMatch(m -> m.maxAbsDelta() > 0);
        for (int threads : new int[] {1, 2}) {
            for (int batchSize : new int[] {1, 8, 32, 512}) {
                List<Moments> actual = sweep(pair, reference, errors, samples, batchSize, threads);
                for (int i = 0; i < expected.size(); i++) {
                    assertThat(actual.get(i).delta())
                            .as("layer %d, batch size %d, %d threads", i, batchSize, threads)
                            .isEqualTo(expected.get(i).delta());
                    assertThat(actual.get(i).errors())
                            .as("errors of layer %d, batch size %d, %d threads", i, batchSize, threads)
                            .isEqualTo(expected.get(i).errors());
                }
            }
        }
    }

    private static List<Moments> sweep(
            ReferencePair pair, Reference reference, boolean errors, int samples, int batchSize, int threads) {
        Graph floating = GraphReader.read(OnnxModel.read(pair.floatFile()));
        Graph quantized = GraphReader.read(pair.quantizedModel());
        List<LayerPair> layers = Pairing.of(floating, quantized).pairs();
        String input = quantized.inputs().get(0).name();
        try (Samples all = pair.samples().limit(samples);
                CpuDevice device = new CpuDevice(threads)) {
            Plan plan =
                    Planner.plan(reference, errors, device, floating, quantized, Map.of(input, input), layers, true);
            List<BiasGrid> grids = layers.stream().map(l -> BiasGrid.FLOAT).toList();
            InputSpec spec = new InputSpec(input, quantized.inputs().get(0).type(), new long[] {-1, -1, -1, -1});
            try (Sweep sweep = new Sweep(plan, device, CorrectionSpec.byMeanErrors(grids, true), Long.MAX_VALUE)) {
                return sweep.run(all.bind(List.of(spec)), batchSize, (done, total) -> {});
            }
        }
    }
}
