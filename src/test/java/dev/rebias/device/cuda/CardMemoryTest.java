package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.rebias.device.CleanEmulator;
import dev.rebias.device.Emulator;
import dev.rebias.tensor.CodedTensor;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Memory that results and samples pass through is used again, and given back, also when something fails. */
@Tag("cuda")
@Tag("emulator")
@ExtendWith(CleanEmulator.class)
final class CardMemoryTest {
    private static final String PINNED = "call:cuMemHostAlloc";
    private static final String RECORDED = "call:cuEventRecord";

    private final Emulator emulator = Emulator.require();

    private static HostTensor numbers(int first, int n) {
        HostTensor values = HostTensor.zeros(ElementType.FLOAT, n);
        for (int i = 0; i < n; i++) {
            values.floats().put(i, first + i);
        }
        return values;
    }

    @Test
    void pinnedMemoryForResultsIsUsedAgainOnceTheyAreRead() {
        try (CudaContext context = new CudaContext(CudaCards.require(0))) {
            for (int i = 0; i < 100; i++) {
                HostTensor sent = numbers(i, 50 << 10);
                try (DeviceTensor tensor = context.upload(sent)) {
                    assertThat(context.download(tensor).toFloats()).isEqualTo(sent.toFloats());
                }
            }
        }
        // One for uploads, one for results.
        assertThat(emulator.counter(PINNED)).isEqualTo(2);
    }

    /** 12 results of 200 KiB take three pieces of a MiB. */
    @Test
    void severalPiecesForResultsThatAreOpenAtOnceAreAllUsedAgain() {
        try (CudaContext context = new CudaContext(CudaCards.require(0))) {
            for (int round = 0; round < 10; round++) {
                List<DeviceTensor> tensors = new ArrayList<>();
                List<CudaContext.Returned> results = new ArrayList<>();
                for (int i = 0; i < 12; i++) {
                    tensors.add(context.upload(numbers(100 * round + i, 50 << 10)));
                    results.add(context.bring(
                            tensors.get(i).address(), tensors.get(i).bytes()));
                }
                for (int i = 0; i < 12; i++) {
                    float[] values = new float[50 << 10];
                    results.get(i).get().asFloatBuffer().get(values);
                    assertThat(values)
                            .isEqualTo(numbers(100 * round + i, 50 << 10).toFloats());
                }
                results.forEach(CudaContext.Returned::close);
                tensors.forEach(DeviceTensor::close);
                assertThatThrownBy(results.get(0)::get)
                        .isInstanceOf(IllegalStateException.class)
                        .hasMessageContaining("closed");
            }
        }
        assertThat(emulator.counter(PINNED)).isEqualTo(1 + 3);
    }

    private static CodedTensor bytes() {
        return new CodedTensor(
                new long[] {1000},
                HostTensor.zeros(ElementType.UINT8, 1000),
                CodedTensor.Order.same(1, 1, 1000),
                new float[CodedTensor.CODES]);
    }

    /** What failed first is what is said, also where the memory of the bytes cannot be given back after it. */
    @Test
    void aFailedDecodingIsNotHiddenByWhatFailsAfterIt() {
        long launch = 0;
        long records;
        CudaException alone;
        // So that later calls are counted alike: the kernel is compiled when it is launched for the first time.
        try (CudaContext context = new CudaContext(CudaCards.require(0));
                DeviceTensor decoded = context.upload(bytes())) {
            assertThat(decoded.bytes()).isPositive();
        }
        do {
            launch++;
            emulator.reset();
            try (CudaContext context = new CudaContext(CudaCards.require(0))) {
                long before = emulator.counter(RECORDED);
                emulator.fail(launch);
                alone = catchThrowableOfType(CudaException.class, () -> context.upload(bytes()));
                records = emulator.counter(RECORDED) - before;
            }
        } while (!emulator.failed().equals("cuLaunchKernel"));
        assertThat(alone).hasMessageContaining("cuLaunchKernel");
        assertThat(alone.getSuppressed()).isEmpty();
        try (CudaContext context = new CudaContext(CudaCards.require(0))) {
            emulator.fail(launch);
            // The last event before was that behind the bytes that are given back.
            emulator.fail("cuEventRecord", records);
            CudaException first = catchThrowableOfType(CudaException.class, () -> context.upload(bytes()));
            assertThat(first).hasMessageContaining("cuLaunchKernel");
            assertThat(first.getSuppressed()).singleElement().asString().contains("cuEventRecord");
        }
    }
}
