package dev.rebias.golden;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.CorrectionOptions;
import dev.rebias.DeviceSession;
import dev.rebias.device.Device;
import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.samples.Samples;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * How many samples of small images go through at a time: not more than are wanted, as many in each batch as that goes,
 * and a few batches for every thread.
 */
final class BatchSizeTest {
    @ParameterizedTest(name = "{0} samples, at most {1}, {2} threads")
    @CsvSource({
        "70, 11, 1, 10", // seven batches
        "70, 7, 1, 7",
        "70, 1, 1, 1",
        "3, 11, 1, 3",
        "64, 11, 2, 8", // four for each of two threads
        "70, 9, 2, 9", // eight, the last a short one
        "45, 5, 3, 4", // twelve for three threads, as ten would leave one with more
        "1, 32, 4, 1",
    })
    void samplesOfOneBatch(int samples, int wanted, int threads, int expected) {
        CorrectionOptions options =
                CorrectionOptions.builder().batchSize(wanted).build();
        try (Device device = new CpuDevice(threads);
                Samples some = ReferencePair.FASHION_W3A8.samples().limit(samples)) {
            assertThat(ReferencePair.FASHION_W3A8
                            .correction()
                            .correct(some, options, DeviceSession.of(device))
                            .batchSize())
                    .isEqualTo(expected);
        }
    }
}
