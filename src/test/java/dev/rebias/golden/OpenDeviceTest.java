package dev.rebias.golden;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.device.Device;
import dev.rebias.device.Devices;
import dev.rebias.device.TestDevices;
import dev.rebias.model.OnnxModel;
import dev.rebias.samples.Samples;
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
                Device device = Devices.open(name).device()) {
            CorrectionResult alone = correction.correct(samples, options);
            for (int turn = 0; turn < 2; turn++) {
                CorrectionResult again = correction.correct(samples, options, device);
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
}
