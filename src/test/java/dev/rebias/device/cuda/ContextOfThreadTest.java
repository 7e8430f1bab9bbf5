package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.device.Emulator;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.IntSupplier;
import org.bytedeco.cuda.cublas.cublasContext;
import org.bytedeco.cuda.cudart.CUctx_st;
import org.bytedeco.cuda.cudart.CUevent_st;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.cuda.global.cublas;
import org.bytedeco.cuda.global.cudart;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** A context is current on the thread that made it so, and on no other, as the driver has it. */
@Tag("cuda")
@Tag("emulator")
final class ContextOfThreadTest {
    private static int elsewhere(IntSupplier call) {
        ExecutorService other = Executors.newSingleThreadExecutor();
        try {
            return other.submit(call::getAsInt).get();
        } catch (InterruptedException | ExecutionException e) {
            throw new AssertionError(e);
        } finally {
            other.shutdown();
        }
    }

    private static void succeeds(int status) {
        assertThat(status).isEqualTo(cudart.CUDA_SUCCESS);
    }

    @Test
    void anotherThreadHasNoContextUntilItSetsIt() {
        assertThat(CudaCards.all()).as("a card, with the driver initialised").isNotEmpty();
        CUctx_st context = new CUctx_st();
        CUstream_st stream = new CUstream_st();
        CUevent_st event = new CUevent_st();
        succeeds(cudart.cuDevicePrimaryCtxRetain(context, 0));
        succeeds(cudart.cuCtxSetCurrent(context));
        succeeds(cudart.cuStreamCreate(stream, cudart.CU_STREAM_NON_BLOCKING));
        try {
            assertThat(elsewhere(() -> cudart.cuEventCreate(event, 0))).isEqualTo(cudart.CUDA_ERROR_INVALID_CONTEXT);
            assertThat(elsewhere(() -> {
                        succeeds(cudart.cuCtxSetCurrent(context));
                        succeeds(cudart.cuEventCreate(event, 0));
                        succeeds(cudart.cuEventRecord(event, stream));
                        return cudart.cuEventDestroy(event);
                    }))
                    .isEqualTo(cudart.CUDA_SUCCESS);
        } finally {
            succeeds(cudart.cuStreamDestroy(stream));
            succeeds(cudart.cuDevicePrimaryCtxRelease(0));
        }
    }

    /** The libraries would take the first card's context there, whichever card is meant. */
    @Test
    @Tag("emulator")
    void librariesNeedOneToo() {
        Emulator emulator = Emulator.require();
        assertThat(CudaCards.all()).isNotEmpty();
        CUctx_st context = new CUctx_st();
        succeeds(cudart.cuDevicePrimaryCtxRetain(context, 0));
        succeeds(cudart.cuCtxSetCurrent(context));
        try {
            assertThat(elsewhere(() -> cublas.cublasCreate_v2(new cublasContext())))
                    .isNotEqualTo(cublas.CUBLAS_STATUS_SUCCESS);
            assertThat(emulator.violation()).contains("cublasCreate").contains("no context is current on this thread");
        } finally {
            emulator.reset();
            succeeds(cudart.cuDevicePrimaryCtxRelease(0));
        }
    }

    /** As on real cards, where it is an error, or silently the wrong card's work. */
    @Test
    @Tag("emulator")
    void whatBelongsToOneCardIsOfNoUseToAnother() {
        Emulator emulator = Emulator.require();
        emulator.devices(2);
        assertThat(CudaCards.all()).hasSize(2);
        CUctx_st first = new CUctx_st();
        CUctx_st second = new CUctx_st();
        CUstream_st stream = new CUstream_st();
        CUevent_st event = new CUevent_st();
        succeeds(cudart.cuDevicePrimaryCtxRetain(first, 0));
        succeeds(cudart.cuDevicePrimaryCtxRetain(second, 1));
        try {
            succeeds(cudart.cuCtxSetCurrent(first));
            succeeds(cudart.cuStreamCreate(stream, cudart.CU_STREAM_NON_BLOCKING));
            succeeds(cudart.cuCtxSetCurrent(second));
            succeeds(cudart.cuEventCreate(event, 0));
            assertThat(cudart.cuEventRecord(event, stream)).isEqualTo(cudart.CUDA_ERROR_INVALID_HANDLE);
            assertThat(emulator.violation()).contains("belongs to device 0, and device 1 is current");
        } finally {
            emulator.reset();
            emulator.devices(0);
            succeeds(cudart.cuEventDestroy(event));
            succeeds(cudart.cuCtxSetCurrent(first));
            succeeds(cudart.cuStreamDestroy(stream));
            succeeds(cudart.cuDevicePrimaryCtxRelease(0));
            succeeds(cudart.cuDevicePrimaryCtxRelease(1));
        }
    }
}
