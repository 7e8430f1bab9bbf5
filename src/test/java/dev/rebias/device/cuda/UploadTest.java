package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.device.CleanEmulator;
import dev.rebias.device.Emulator;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.cuda.cudart.CUevent_st;
import org.bytedeco.cuda.global.cudart;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Uploads that are larger than the pinned memory they pass through do not make the host wait for the work of other
 * batches.
 */
@Tag("cuda")
@Tag("emulator")
@ExtendWith(CleanEmulator.class)
final class UploadTest {
    /** A batch of 72 MB: more than the ring holds. */
    private static final int BATCH = 18 << 20;

    private static final long MEMORY = 1L << 30;

    private final Emulator emulator = Emulator.require();

    @BeforeEach
    void asInANewProcess() {
        // The emulator puts work off for as long as it can, unless its order is random: what has run was waited for.
        Assumptions.assumeTrue(System.getenv("EMULATOR_ORDER") == null, "the emulator runs work at random times");
        emulator.memory(MEMORY);
    }

    private static HostTensor batch(int number) {
        HostTensor values = HostTensor.zeros(ElementType.FLOAT, BATCH);
        values.floats().put(0, number).put(BATCH - 1, -number);
        return values;
    }

    private static DeviceTensor ends(CudaContext context, DeviceTensor batch) {
        DeviceTensor ends = DeviceTensor.allocate(context, ElementType.FLOAT, 2);
        long[] apart = {BATCH - 1};
        Copies.copy(context, batch, 0, apart, ends, 0, new long[] {1}, new long[] {2});
        return ends;
    }

    private void sweep(CudaContext context, int known) {
        List<DeviceTensor> results = new ArrayList<>();
        List<CUevent_st> done = new ArrayList<>();
        DeviceTensor next = context.upload(batch(0));
        for (int b = 0; b < 8; b++) {
            DeviceTensor current = next;
            next = context.upload(batch(b + 1));
            if (b >= known) {
                // The ring held the upload of this batch's successor only once that was under way, and that had no need
                // of the work before.
                assertThat(cudart.cuEventQuery(done.get(b - 1)))
                        .as("the work of batch %d after the upload of batch %d", b - 1, b + 1)
                        .isEqualTo(cudart.CUDA_ERROR_NOT_READY);
            }
            results.add(ends(context, current));
            current.close();
            done.add(context.mark());
        }
        next.close();
        for (int b = 0; b < results.size(); b++) {
            assertThat(context.download(results.get(b)).toFloats()).containsExactly(b, -b);
            results.get(b).close();
        }
        assertThat(context.pool().blocks()).isZero();
        assertThat(context.pool().used()).isZero();
    }

    @Test
    void memoryThatNobodyHasUsedIsWaitedForByNobody() {
        try (CudaContext context = new CudaContext(CudaCards.require(0))) {
            sweep(context, 1);
        }
    }

    @Test
    void memoryOfEarlierUploadsIsUsedAgainBehindTheirOwnWork() {
        try (CudaContext context = new CudaContext(CudaCards.require(0))) {
            // All of the pool has been used.
            context.pool().allocate(context.pool().capacity(), "all").close();
            sweep(context, 3);
        }
    }

    @Test
    void whatIsSetAsideGoesBackWhereThePoolRunsShort() {
        try (CudaContext context = new CudaContext(CudaCards.require(0))) {
            sweep(context, 1);
            context.pool().allocate(context.pool().capacity(), "all").close();
            sweep(context, 3);
        }
    }
}
