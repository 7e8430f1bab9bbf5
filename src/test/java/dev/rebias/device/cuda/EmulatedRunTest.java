package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.DeviceSession;
import dev.rebias.device.CleanEmulator;
import dev.rebias.device.Emulator;
import dev.rebias.device.Tensor;
import dev.rebias.golden.ReferencePair;
import dev.rebias.model.Layer;
import dev.rebias.model.LayerPair;
import dev.rebias.op.Convolution;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a whole correction asks of the card, by the emulator's own counters. */
@Tag("cuda")
@Tag("emulator")
@ExtendWith(CleanEmulator.class)
final class EmulatedRunTest {
    private final Emulator emulator = Emulator.require();

    @AfterEach
    void poolAsItWas() {
        System.clearProperty("rebias.cuda.pool");
    }

    private CorrectionResult correct(
            ReferencePair pair, Reference reference, int samples, int batchSize, AtomicLong allocationsAfterFirst) {
        try (Samples all = pair.samples()) {
            CorrectionOptions options = CorrectionOptions.builder()
                    .device("cuda")
                    .reference(reference)
                    .batchSize(batchSize)
                    .listener((done, total) -> {
                        if (done == 1) {
                            allocationsAfterFirst.set(emulator.counter("allocations"));
                        }
                    })
                    .build();
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
    void onlySumsComeBackTheHostWaitsAtBarriersAloneAndMemoryIsTakenOnce(
            ReferencePair pair, Reference reference, int samples, int batchSize) {
        AtomicLong allocations = new AtomicLong();
        CorrectionResult result = correct(pair, reference, samples, batchSize, allocations);
        long allowed = pair.correction().pairing().pairs().stream()
                .mapToLong(p -> returned(p, reference))
                .sum();
        long layers = result.layers().size();
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
                pair, reference, back, allowed, waits, 2 + layers, emulator.counter("launches"));
        assertThat(back).isPositive().isLessThanOrEqualTo(allowed);
        assertThat(waits).isLessThanOrEqualTo(2 + layers);
        assertThat(allocations.get()).isEqualTo(1);
        assertThat(emulator.counter("allocations")).as("allocations in all").isEqualTo(1);
        // The device's own account is the emulator's, but for the two waits with which it ends.
        assertThat(result.transfers().deviceToHostBytes()).isEqualTo(back);
        assertThat(result.transfers().hostToDeviceBytes()).isEqualTo(emulator.counter("hostToDeviceBytes"));
        assertThat(result.transfers().synchronisations()).isEqualTo(waits - 2);
    }

    /**
     * Bytes: five sums for each output channel; and in the reference {@code layer} those of each input channel and
     * class of taps, where the layer is one of integers.
     */
    private static long returned(LayerPair pair, Reference reference) {
        Layer layer = pair.quantized();
        long[] weights = layer.weightShape();
        long errors = 5L * layer.channels();
        if (reference == Reference.NETWORK || layer.integers().isEmpty()) {
            return errors * Double.BYTES;
        }
        long inputs = layer.op() instanceof Convolution c ? weights[1] * c.group() : Math.max(weights[0], weights[1]);
        long classes = 1;
        for (int i = 2; i < weights.length; i++) {
            classes *= weights[i] == 1 ? 2 : weights[i] + 1;
        }
        return (errors + inputs * classes) * Double.BYTES;
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
            try (DeviceTensor back = DeviceTensor.allocate(context, ElementType.FLOAT, 1, n)) {
                Copies.window(context, large, back, new long[] {2, row - n});
                assertThat(context.download(back).toFloats()).containsExactly(values);
            }
        }
    }

    @Test
    void thePrimaryContextIsRetainedAtMostOnceAndNeverReleased() {
        for (int i = 0; i < 3; i++) {
            try (CudaDevice device = CudaDevice.open(0);
                    Tensor x = device.upload(HostTensor.of(new float[] {1, 2}, 2))) {
                assertThat(device.download(x).toFloats()).containsExactly(1, 2);
            }
        }
        assertThat(emulator.counter("call:cuDevicePrimaryCtxRetain")).isLessThanOrEqualTo(1);
        assertThat(emulator.counter("call:cuDevicePrimaryCtxRelease_v2")).isZero();
    }

    /**
     * Each kind of call from a thread that has not used the card before: the whole correction, results read late, what
     * is closed after its work.
     */
    @ParameterizedTest
    @EnumSource(Reference.class)
    void anOpenDeviceMayBeUsedFromAnyThread(Reference reference) throws Exception {
        CorrectionOptions options = CorrectionOptions.builder()
                .reference(reference)
                .batchSize(4)
                .perChannel(true)
                .build();
        for (String pool : new String[] {"", "none"}) {
            System.setProperty("rebias.cuda.pool", pool);
            for (ReferencePair pair : new ReferencePair[] {ReferencePair.FASHION_W3A8, ReferencePair.OCR_W4A8}) {
                try (Samples all = pair.samples();
                        Samples few = all.limit(6)) {
                    List<float[]> here;
                    try (CudaDevice device = CudaDevice.open(0)) {
                        here = deltas(pair.correction().correct(few, options, DeviceSession.of(device)));
                    }
                    CudaDevice device = onNewThread(() -> CudaDevice.open(0));
                    assertThat(onNewThread(
                                    () -> deltas(pair.correction().correct(few, options, DeviceSession.of(device)))))
                            .containsExactlyElementsOf(here);
                    assertThat(deltas(pair.correction().correct(few, options, DeviceSession.of(device))))
                            .containsExactlyElementsOf(here);
                    onNewThread(() -> {
                        device.close();
                        return true;
                    });
                }
            }
        }
    }

    private static List<float[]> deltas(CorrectionResult result) {
        return result.layers().stream()
                .map(l -> l.moments().orElseThrow().delta())
                .toList();
    }

    private static <T> T onNewThread(Callable<T> work) throws Exception {
        ExecutorService thread = Executors.newSingleThreadExecutor();
        try {
            return thread.submit(work).get();
        } finally {
            thread.shutdown();
        }
    }

    /** Small and large: the emulator writes the one and maps the other. */
    @ParameterizedTest
    @ValueSource(ints = {1, 63, 100_000, 1_000_003})
    void whatIsGivenBackToThePoolIsPoisoned(int n) {
        float[] values = new float[n];
        Arrays.fill(values, 5);
        try (CudaContext context = new CudaContext(CudaCards.require(0))) {
            DeviceTensor before = DeviceTensor.allocate(context, ElementType.FLOAT, n);
            context.clear(before.address(), before.bytes());
            try (DeviceTensor neighbour = context.upload(HostTensor.of(values, n))) {
                long address = before.address();
                before.close();
                try (DeviceTensor after = DeviceTensor.allocate(context, ElementType.FLOAT, n)) {
                    assertThat(after.address()).isEqualTo(address);
                    for (float v : context.download(after).toFloats()) {
                        assertThat(Float.floatToRawIntBits(v)).isEqualTo(-1);
                    }
                }
                assertThat(context.download(neighbour).toFloats()).isEqualTo(values);
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
