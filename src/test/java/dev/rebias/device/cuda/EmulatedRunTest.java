package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.LayerResult;
import dev.rebias.device.Emulator;
import dev.rebias.golden.ReferencePair;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a whole correction asks of the card, by the emulator's own counters. */
@Tag("cuda")
@Tag("emulator")
final class EmulatedRunTest {
    private final Emulator emulator = Emulator.require();

    @BeforeEach
    void asInANewProcess() {
        emulator.reset();
    }

    @AfterEach
    void nothingIsLeftAndNoRuleWasBroken() {
        System.clearProperty("rebias.cuda.pool");
        assertThat(emulator.live()).isEmpty();
        assertThat(emulator.violation()).isEmpty();
        emulator.reset();
    }

    private CorrectionResult correct(
            ReferencePair pair, Reference reference, int samples, int batchSize, AtomicLong allocationsAfterFirst) {
        try (Samples all = pair.samples()) {
            CorrectionOptions options = CorrectionOptions.defaults()
                    .withDevice("cuda")
                    .withReference(reference)
                    .withBatchSize(batchSize)
                    .withListener((done, total) -> {
                        if (done == 1) {
                            allocationsAfterFirst.set(emulator.counter("allocations"));
                        }
                    });
            return pair.correction().correct(all.limit(samples), options);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "FASHION_W3A8, LAYER, 96, 16",
        "FASHION_W3A8, NETWORK, 96, 40",
        "FASHION_W8A8_INT32_BIAS, NETWORK, 64, 8",
        "OCR_W4A8, LAYER, 24, 8",
        "OCR_W4A8, NETWORK, 24, 10"
    })
    void onlyCorrectionsComeBackTheHostHardlyWaitsAndMemoryIsTakenOnce(
            ReferencePair pair, Reference reference, int samples, int batchSize) {
        AtomicLong allocations = new AtomicLong();
        CorrectionResult result = correct(pair, reference, samples, batchSize, allocations);
        long channels =
                result.layers().stream().mapToLong(LayerResult::channels).sum();
        long layers = result.layers().size();
        int batches = (samples + batchSize - 1) / batchSize;
        assertThat(result.device().emulated()).isTrue();
        assertThat(result.warnings())
                .as("everything has a form for the card")
                .hasSize(1)
                .first()
                .asString()
                .contains("emulator");
        long back = emulator.counter("deviceToHostBytes");
        long waits = emulator.counter("synchronisations");
        System.out.printf(
                "%s %s: %d bytes back of %d allowed, %d waits of %d, %d launches%n",
                pair, reference, back, 4 * channels + 64 * layers, waits, 10 + batches, emulator.counter("launches"));
        assertThat(back).isPositive().isLessThanOrEqualTo(4 * channels + 64 * layers);
        assertThat(waits).isLessThanOrEqualTo(10 + batches);
        assertThat(allocations.get()).isEqualTo(1);
        assertThat(emulator.counter("allocations")).as("allocations in all").isEqualTo(1);
        // The device's own account is the emulator's, but for the two waits with which it ends.
        assertThat(result.transfers().deviceToHostBytes()).isEqualTo(back);
        assertThat(result.transfers().hostToDeviceBytes()).isEqualTo(emulator.counter("hostToDeviceBytes"));
        assertThat(result.transfers().synchronisations()).isEqualTo(waits - 2);
    }

    @Test
    void correctionsDoNotDependOnTheBatchSizeToTheLastBit() {
        AtomicLong ignored = new AtomicLong();
        CorrectionResult one = correct(ReferencePair.FASHION_W3A8, Reference.NETWORK, 48, 1, ignored);
        for (int batchSize : new int[] {7, 48}) {
            CorrectionResult other = correct(ReferencePair.FASHION_W3A8, Reference.NETWORK, 48, batchSize, ignored);
            for (int i = 0; i < one.layers().size(); i++) {
                assertThat(other.layers().get(i).moments().orElseThrow().delta())
                        .as("%s, batch size %d", one.layers().get(i).name(), batchSize)
                        .containsExactly(
                                one.layers().get(i).moments().orElseThrow().delta());
            }
        }
    }

    /** A tensor of 3 GiB: only what is touched of it costs memory here. */
    @Test
    void tensorsMayBeLongerThanIntsReach() {
        long row = 1L << 28;
        int n = 1000;
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            values[i] = i;
        }
        try (CudaContext context = new CudaContext(CudaCards.require(0));
                DeviceTensor large = DeviceTensor.allocate(context, ElementType.FLOAT, 3, row);
                DeviceTensor small = context.upload(HostTensor.of(values, n))) {
            long end = 3 * row - n;
            long[] one = {1};
            assertThat(Copies.copy(context, small, 0, one, large, end, one, new long[] {n}))
                    .isTrue();
            try (DeviceTensor back = Copies.place(context, large, new long[] {1, n}, new long[] {-2, n - row})) {
                assertThat(context.download(back).toFloats()).containsExactly(values);
            }
        }
    }

    /** Every tensor is an allocation of its own here, so that the emulator sees each read and write beyond one. */
    @Test
    void noKernelLeavesItsTensors() {
        System.setProperty("rebias.cuda.pool", "none");
        AtomicLong ignored = new AtomicLong();
        BiasCorrection correction = ReferencePair.OCR_W4A8.correction();
        assertThat(correction.inputNames()).isNotEmpty();
        correct(ReferencePair.OCR_W4A8, Reference.NETWORK, 5, 3, ignored);
        correct(ReferencePair.FASHION_W3A8, Reference.LAYER, 7, 3, ignored);
        assertThat(emulator.counter("allocations")).isGreaterThan(500);
    }
}
