package dev.rebias.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.DeviceSession;
import dev.rebias.device.Device;
import dev.rebias.device.Devices;
import dev.rebias.device.TestDevices;
import dev.rebias.error.CancelledException;
import dev.rebias.model.OnnxModel;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.SweepListener;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Several corrections on one device are the same as each on its own. */
@Tag("cuda")
final class OpenDeviceTest {
    private static Stream<String> devices() {
        return TestDevices.names().stream();
    }

    @ParameterizedTest
    @MethodSource("devices")
    void aDeviceMayBeUsedAgain(String name) {
        ReferencePair pair = ReferencePair.FASHION_W3A8;
        BiasCorrection correction = BiasCorrection.of(OnnxModel.read(pair.floatFile()), pair.quantizedModel());
        CorrectionOptions options = CorrectionOptions.builder().device(name).build();
        try (Samples samples = pair.samples().limit(12);
                DeviceSession session = DeviceSession.open(name)) {
            CorrectionResult alone = correction.correct(samples, options);
            for (int turn = 0; turn < 2; turn++) {
                CorrectionResult again = correction.correct(samples, options, session);
                for (int i = 0; i < alone.layers().size(); i++) {
                    assertThat(again.layers().get(i).moments().orElseThrow().delta())
                            .isEqualTo(alone.layers()
                                    .get(i)
                                    .moments()
                                    .orElseThrow()
                                    .delta());
                }
                assertThat(again.transfers().deviceToHostBytes())
                        .isEqualTo(alone.transfers().deviceToHostBytes());
                assertThat(again.transfers().hostToDeviceBytes())
                        .isEqualTo(alone.transfers().hostToDeviceBytes());
            }
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void anInterruptedRunEndsAndLeavesTheDeviceAsItWas(String name) {
        ReferencePair pair = ReferencePair.FASHION_W3A8;
        BiasCorrection correction = BiasCorrection.of(OnnxModel.read(pair.floatFile()), pair.quantizedModel());
        try (Samples samples = pair.samples().limit(6);
                Device device = Devices.open(name).device()) {
            DeviceSession session = DeviceSession.of(device);
            CorrectionOptions.Builder options =
                    CorrectionOptions.builder().batchSize(2).outcome(false);
            Map<String, float[]> undisturbed =
                    correction.correct(samples, options.build(), session).corrections();
            long before = device.memory().used();
            AtomicLong last = new AtomicLong();
            Thread caller = Thread.currentThread();
            CorrectionOptions interrupted = options.listener((done, total) -> {
                        last.set(done);
                        if (done == 4) {
                            caller.interrupt();
                        }
                    })
                    .build();
            assertThatThrownBy(() -> correction.correct(samples, interrupted, session))
                    .isInstanceOf(CancelledException.class)
                    .hasMessageContaining("interrupted");
            assertThat(Thread.interrupted()).isTrue();
            // What other threads had begun by then has ended.
            assertThat(last.get()).isBetween(4L, 4L + device.batches().threads());
            assertThat(device.memory().used()).isEqualTo(before);
            assertThat(correction
                            .correct(
                                    samples,
                                    options.listener((done, total) -> {}).build(),
                                    session)
                            .corrections())
                    .usingRecursiveComparison()
                    .isEqualTo(undisturbed);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void listenersHearOfEachLayerOnceWhenItsCorrectionIsKnown(String name) {
        ReferencePair pair = ReferencePair.FASHION_W3A8;
        List<String> heard = new ArrayList<>();
        AtomicLong pieces = new AtomicLong();
        SweepListener listener = new SweepListener() {
            @Override
            public void solved(String layer) {
                heard.add(layer);
            }

            @Override
            public void progress(long done, long total) {
                pieces.set(total);
            }
        };
        try (Samples samples = pair.samples().limit(4)) {
            CorrectionOptions options = CorrectionOptions.builder()
                    .device(name)
                    .outcome(false)
                    .listener(listener)
                    .build();
            CorrectionResult result = pair.correction().correct(samples, options);
            assertThat(heard).containsExactlyElementsOf(result.corrections().keySet());
        }
        assertThat(pieces.get()).isGreaterThanOrEqualTo(heard.size());
    }
}
