package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.rebias.device.Emulator;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.Arrays;
import java.util.function.Consumer;
import org.bytedeco.cuda.cudart.CUfunc_st;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.cuda.global.cudart;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Mistakes made on purpose: each is one that a real card may let pass, and that the emulator finds. */
@Tag("cuda")
@Tag("emulator")
final class BrokenKernelTest {
    private final Emulator emulator = Emulator.require();

    @BeforeEach
    void everyTensorIsItsOwnAllocation() {
        emulator.reset();
        System.setProperty("rebias.cuda.pool", "none");
    }

    @AfterEach
    void asItWas() {
        System.clearProperty("rebias.cuda.pool");
        emulator.reset();
        assertThat(emulator.live()).isEmpty();
    }

    /** Runs something on a card and gives what the emulator found wrong with it. */
    private String finding(Consumer<CudaContext> work) {
        assertThatThrownBy(() -> {
                    try (CudaContext context = new CudaContext(CudaCards.require(0))) {
                        work.accept(context);
                    }
                })
                .isInstanceOf(CudaException.class);
        return emulator.violation();
    }

    private static void settle(CudaContext context, DeviceTensor any) {
        try (CudaContext.Returned one = context.bring(any.address(), 1)) {
            one.get();
        }
    }

    private static DeviceTensor floats(CudaContext context, int n) {
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            values[i] = i % 17;
        }
        return context.upload(HostTensor.of(values, n));
    }

    private static String broken(String file, String what, String by) {
        String source = Compiler.source(file);
        assertThat(source).as("the mistake is made in " + file).contains(what);
        return source.replace(what, by);
    }

    /** The block-wide sum of error moments over one channel of 8192 elements, with that source. */
    private static void sumBlock(CudaContext context, String source) {
        CUfunc_st kernel = context.kernels().of("broken", source, "error_moments_block");
        DeviceTensor a = floats(context, 8192);
        DeviceTensor parts = DeviceTensor.allocate(context, ElementType.FLOAT, 8);
        context.arguments()
                .pointer(a.address())
                .pointer(a.address())
                .pointer(parts.address())
                .int32(1)
                .int64(8192)
                .int32(1)
                .int32(0)
                .blocks(kernel, "error_moments_block", 1);
        settle(context, parts);
    }

    @Test
    void theKernelAsItIsBreaksNoRule() {
        try (CudaContext context = new CudaContext(CudaCards.require(0))) {
            sumBlock(context, Compiler.source("error_moments.cu"));
        }
        assertThat(emulator.violation()).isEmpty();
    }

    @Test
    void aDroppedBarrierIsFound() {
        String source = broken(
                "error_moments.cu", "    __syncthreads();\n    if (threadIdx.x < 4) {", "    if (threadIdx.x < 4) {");
        assertThat(finding(c -> sumBlock(c, source)))
                .contains("error_moments_block")
                .contains("with no barrier between");
    }

    @Test
    void aBarrierThatNotAllThreadsReachIsFound() {
        String source = broken(
                "error_moments.cu",
                "    __syncthreads();\n    if (threadIdx.x < 4) {",
                "    if (threadIdx.x < 64) __syncthreads();\n    if (threadIdx.x < 4) {");
        assertThat(finding(c -> sumBlock(c, source))).contains("divergent barrier");
    }

    @Test
    void aShuffleThatNotAllLanesReachIsFound() {
        String header = broken(
                "error_sums.cuh",
                "    sum += __shfl_xor_sync(ALL_LANES, sum, 2);",
                "    if (lane < 7) sum += __shfl_xor_sync(ALL_LANES, sum, 2);");
        String source = broken("error_moments.cu", "#include \"error_sums.cuh\"", header.replace("#pragma once", ""));
        assertThat(finding(c -> sumBlock(c, source))).containsAnyOf("divergent barrier", "which has ended");
    }

    @Test
    void oneReadPastTheEndIsFound() {
        String source = broken(
                "error_moments.cu",
                "i < length; i += threads) add(s, a[i], q[i], difference);\n    return s;",
                "i <= length; i += threads) add(s, a[i], q[i], difference);\n    return s;");
        assertThat(finding(c -> sumBlock(c, source)))
                .contains("reads 4 bytes")
                .contains("which ends 4 bytes past the end of an allocation of 32768 bytes");
    }

    @Test
    void aSkippedTailLeavesWhatNobodyWrote() {
        String source = """
                typedef int Index;
                #include "elementwise.cuh"
                extern "C" __global__ void elementwise(Index n, const float* __restrict__ from, float* __restrict__ to) {
                    Index i = 4 * ((Index)blockIdx.x * 256 + (Index)threadIdx.x);
                    if (i + 4 > n) return;
                    float v[4];
                    load(from, i, 4, v);
                    store(to, i, 4, v);
                }
                """;
        try (CudaContext context = new CudaContext(CudaCards.require(0));
                DeviceTensor from = floats(context, 1003);
                DeviceTensor to = DeviceTensor.allocate(context, ElementType.FLOAT, 1003)) {
            context.arguments()
                    .int32(1003)
                    .pointer(from.address())
                    .pointer(to.address())
                    .over(context.kernels().elementwise("broken", source), "broken", 251);
            float[] values = context.download(to).toFloats();
            assertThat(values[999]).isEqualTo(999 % 17);
            assertThat(Arrays.copyOfRange(values, 1000, 1003)).as("poison").containsOnly(Float.NaN);
        }
    }

    @Test
    void anUnalignedVectorIsFound() {
        String source = """
                #include "rebias.cuh"
                extern "C" __global__ void elementwise(const float* from, float* to) {
                    *reinterpret_cast<float4*>(to) = *reinterpret_cast<const float4*>(from + 1);
                }
                """;
        assertThat(finding(c -> {
                    DeviceTensor from = floats(c, 64);
                    DeviceTensor to = DeviceTensor.allocate(c, ElementType.FLOAT, 64);
                    c.arguments()
                            .pointer(from.address())
                            .pointer(to.address())
                            .blocks(c.kernels().elementwise("broken", source), "broken", 1);
                    settle(c, to);
                }))
                .contains("16 bytes at once")
                .contains("not aligned");
    }

    @Test
    void aForgottenEventLetsTheKernelRunBeforeTheUpload() {
        try (CudaContext context = new CudaContext(CudaCards.require(0));
                DeviceTensor to = DeviceTensor.allocate(context, ElementType.FLOAT, 64)) {
            CUstream_st other = new CUstream_st();
            Status.cuda(cudart.cuStreamCreate(other, cudart.CU_STREAM_NON_BLOCKING), "cuStreamCreate");
            try (Events events = new Events();
                    PinnedRing ring = new PinnedRing(new Counters(), events);
                    MemoryPool.Block from = context.pool().allocate(256, "test")) {
                float[] ones = new float[64];
                Arrays.fill(ones, 1);
                ring.send(HostTensor.of(ones, 64).bytes(), from.address(), other);
                // No event here: nothing orders the copy before the kernel.
                context.arguments()
                        .pointer(from.address())
                        .pointer(to.address())
                        .int64(64)
                        .int64(0)
                        .int64(0)
                        .index(StridedIndex.paired(new long[] {64}, new long[] {1})
                                .orElseThrow())
                        .index(StridedIndex.paired(new long[] {64}, new long[] {1})
                                .orElseThrow())
                        .over(context.kernel("copy.cu", "copy_4"), "copy_4", 64);
                assertThat(context.download(to).toFloats())
                        .as("what was there before the copy")
                        .containsOnly(Float.NaN);
                Status.cuda(cudart.cuStreamSynchronize(other), "cuStreamSynchronize");
            }
            Status.cuda(cudart.cuStreamDestroy(other), "cuStreamDestroy");
        }
    }

    @Test
    void aHostPointerIsFound() {
        assertThat(finding(c -> {
                    DeviceTensor to = DeviceTensor.allocate(c, ElementType.FLOAT, 64);
                    try (org.bytedeco.javacpp.FloatPointer host = new org.bytedeco.javacpp.FloatPointer(64)) {
                        copy(c, host.address(), to);
                    }
                }))
                .contains("copy_4")
                .contains("which is not in device memory");
    }

    @Test
    void useAfterFreeIsFound() {
        assertThat(finding(c -> {
                    DeviceTensor to = DeviceTensor.allocate(c, ElementType.FLOAT, 64);
                    DeviceTensor from = floats(c, 64);
                    long address = from.address();
                    from.close();
                    copy(c, address, to);
                }))
                .contains("in an allocation of 256 bytes that was freed");
    }

    private static void copy(CudaContext context, long from, DeviceTensor to) {
        StridedIndex index =
                StridedIndex.paired(new long[] {64}, new long[] {1}).orElseThrow();
        context.arguments()
                .pointer(from)
                .pointer(to.address())
                .int64(64)
                .int64(0)
                .int64(0)
                .index(index)
                .index(index)
                .over(context.kernel("copy.cu", "copy_4"), "copy_4", 64);
        settle(context, to);
    }

    @Test
    void aMissingArgumentIsFound() {
        assertThat(finding(c -> {
                    DeviceTensor to = DeviceTensor.allocate(c, ElementType.FLOAT, 64);
                    c.arguments()
                            .pointer(to.address())
                            .pointer(to.address())
                            .over(c.kernel("copy.cu", "copy_4"), "copy_4", 64);
                }))
                .contains("copy_4 has 7 parameters and was given 2 arguments");
    }
}
