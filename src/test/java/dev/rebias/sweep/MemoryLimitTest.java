package dev.rebias.sweep;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.device.Device;
import dev.rebias.device.Devices;
import dev.rebias.device.TestDevices;
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
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Where tensors wait does not change what is computed, and they wait where they were told to. */
@Tag("cuda")
final class MemoryLimitTest {
    private static final int SAMPLES = 128;
    private static final int BATCH = 4;

    private record Run(List<Moments> moments, long peak, long spilled) {}

    private static Stream<Arguments> cases() {
        return TestDevices.names().stream()
                .flatMap(d -> Stream.of(Reference.values()).map(r -> Arguments.of(d, r)));
    }

    @ParameterizedTest
    @MethodSource("cases")
    void aQuarterOfTheMemoryGivesTheSameBits(String device, Reference reference, @TempDir Path temporary)
            throws IOException {
        Run free = sweep(device, reference, Long.MAX_VALUE);
        assertThat(free.spilled()).isZero();
        long limit = free.peak() / 4;
        // A folder that no other process uses.
        String before = System.setProperty("java.io.tmpdir", temporary.toString());
        Run limited;
        try {
            limited = sweep(device, reference, limit);
        } finally {
            System.setProperty("java.io.tmpdir", before);
        }
        System.out.printf(
                "%s, %s: %.1f MB without a limit; %.1f MB and %.1f MB in a file with one of %.1f MB%n",
                device, reference, free.peak() / 1e6, limited.peak() / 1e6, limited.spilled() / 1e6, limit / 1e6);
        assertThat(limited.spilled()).isGreaterThan(free.peak() / 3);
        // What is worked on comes on top of what waits.
        assertThat(limited.peak()).isLessThan(limit + free.peak() / 4);
        for (int i = 0; i < free.moments().size(); i++) {
            assertThat(limited.moments().get(i).delta())
                    .isEqualTo(free.moments().get(i).delta());
            assertThat(limited.moments().get(i).errors())
                    .isEqualTo(free.moments().get(i).errors());
        }
        try (Stream<Path> left = Files.list(temporary)) {
            assertThat(left).isEmpty();
        }
    }

    /** A limit that cannot be kept is not passed over. */
    @Test
    void whatIsWorkedOnMayTakeMore() {
        ReferencePair pair = ReferencePair.FASHION_W3A8;
        BiasCorrection correction = BiasCorrection.of(OnnxModel.read(pair.floatFile()), pair.quantizedModel());
        CorrectionOptions options = CorrectionOptions.builder().device("cpu").build();
        try (Samples samples = pair.samples().limit(SAMPLES)) {
            CorrectionResult free = correction.correct(samples, options);
            assertThat(free.warnings()).isEmpty();
            long enough = 2 * free.peakDeviceBytes();
            assertThat(correction
                            .correct(
                                    samples,
                                    options.toBuilder().memoryLimit(enough).build())
                            .warnings())
                    .isEmpty();
            assertThat(correction
                            .correct(
                                    samples,
                                    options.toBuilder().memoryLimit(100_000).build())
                            .warnings())
                    .singleElement(InstanceOfAssertFactories.STRING)
                    .contains("memory limit of 0.1 MB", "a smaller batch size takes less");
            assertThat(correction
                            .correct(
                                    samples,
                                    options.toBuilder()
                                            .memoryLimit(100_000)
                                            .batchSize(1)
                                            .build())
                            .warnings())
                    .singleElement(InstanceOfAssertFactories.STRING)
                    .contains("one sample already");
        }
    }

    private static Run sweep(String name, Reference reference, long limit) {
        ReferencePair pair = ReferencePair.FASHION_W3A8;
        Graph floating = GraphReader.read(OnnxModel.read(pair.floatFile()));
        Graph quantized = GraphReader.read(pair.quantizedModel());
        List<LayerPair> layers = Pairing.of(floating, quantized).pairs();
        String input = quantized.inputs().get(0).name();
        List<BiasGrid> grids = layers.stream().map(l -> BiasGrid.FLOAT).toList();
        try (Samples samples = pair.samples().limit(SAMPLES);
                // Each thread has a batch that it works on: the bounds are for two.
                Device device = name.equals("cpu")
                        ? new CpuDevice(2)
                        : Devices.open(name).device()) {
            Plan plan = Planner.plan(reference, true, device, floating, quantized, Map.of(input, input), layers, true);
            InputSpec spec = new InputSpec(input, quantized.inputs().get(0).type(), new long[] {-1, -1, -1, -1});
            try (Sweep sweep = new Sweep(plan, device, CorrectionSpec.byMeanErrors(grids, false), limit)) {
                List<Moments> moments = sweep.run(samples.bind(List.of(spec)), BATCH, (done, total) -> {});
                return new Run(moments, device.memory().peak(), sweep.spilledBytes());
            }
        }
    }
}
