package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.device.ClassSums;
import dev.rebias.device.Emulator;
import dev.rebias.device.ErrorSums;
import dev.rebias.device.Tensor;
import dev.rebias.device.WeightError;
import dev.rebias.op.LayerOps;
import dev.rebias.op.TestOps;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The emulator's count of bytes and multiply-adds, where one can say what it must be. */
@Tag("cuda")
@Tag("emulator")
final class CountedWorkTest {
    private static final NodeProto MATRIX =
            NodeProto.newBuilder().setOpType("MatMul").build();

    private final Emulator emulator = Emulator.require();

    private static HostTensor floats(long... shape) {
        return HostTensor.zeros(ElementType.FLOAT, shape);
    }

    @Test
    void errorMomentsReadEachElementOfBothTensorsOnce() {
        try (CudaDevice device = CudaDevice.open(0);
                ErrorSums sums = device.errorSums(TestOps.pointwise(), 8, false, true);
                Tensor e = device.upload(floats(4, 8, 32, 32));
                Tensor y = device.upload(floats(4, 8, 32, 32))) {
            emulator.forgetWork();
            sums.add(List.of(e, y), 4);
            device.download(e);
            Emulator.Work work = emulator.work().get("error_moments_warp");
            long elements = 4L * 8 * 32 * 32;
            assertThat(work.calls()).isEqualTo(1);
            assertThat(work.read()).isEqualTo(2 * elements * Float.BYTES);
            assertThat(work.written()).isEqualTo(4L * 8 * 4 * Double.BYTES);
            assertThat(emulator.work().get("cuMemcpyDtoHAsync").read()).isEqualTo(elements * Float.BYTES);
        }
    }

    /**
     * A convolution of 3x3 has three classes of indices along each of two dimensions: their lists are [classes + 1 +
     * size] ints, and [1 + 1 + 1] of the third. Memory gives them in pieces of 32 bytes.
     */
    @ParameterizedTest
    @EnumSource(
            value = ElementType.class,
            names = {"FLOAT", "UINT8", "INT8"})
    void classSumsReadEachElementAndTheListsOfMembersOnce(ElementType type) {
        Optional<ElementType> integers = Optional.of(type).filter(t -> t != ElementType.FLOAT);
        try (CudaDevice device = CudaDevice.open(0);
                ClassSums sums = device.classSums(TestOps.threeByThree(), new long[] {4, 8, 3, 3}, integers, 0);
                Tensor x = device.upload(HostTensor.zeros(type, 4, 8, 32, 32))) {
            emulator.forgetWork();
            sums.add(List.of(x), 4);
            sums.totals();
            Emulator.Work work = emulator.work().get("class_sums_" + type.name().toLowerCase(Locale.ROOT));
            long elements = 4L * 8 * 32 * 32;
            long members = (2 * (3 + 1 + 32) + (1 + 1 + 1)) * Integer.BYTES;
            assertThat(work.calls()).isEqualTo(1);
            assertThat(work.read()).isEqualTo(elements * type.bytes() + (members + 31) / 32 * 32);
            assertThat(work.written()).isEqualTo(4L * 8 * 9 * Double.BYTES);
        }
    }

    /** Of the errors' weights and the outputs' two digits each; neither errors nor outputs are written. */
    @Test
    void errorsOfIntegersReadEachByteOnceAndMultiplyOnTensorCores() {
        double[] weights = new double[64 * 64];
        WeightError layer = new WeightError(
                TestOps.pointwise(), new long[] {64, 64, 1, 1}, weights, weights, Optional.of(ElementType.UINT8), 1, 0);
        try (CudaDevice device = CudaDevice.open(0);
                ErrorSums sums = device.inputErrorSums(layer, false, true).orElseThrow();
                Tensor x = device.upload(HostTensor.zeros(ElementType.UINT8, 4, 64, 16, 16))) {
            emulator.forgetWork();
            sums.add(List.of(x), 4);
            sums.totals();
            Emulator.Work work = emulator.work().get("integer_errors_tile_u8");
            long bytes = 4L * 64 * 16 * 16;
            long taps = 64 * 2 * Integer.BYTES;
            long filters = 2 * 64 * (Long.BYTES + Double.BYTES);
            assertThat(work.calls()).isEqualTo(1);
            assertThat(work.read()).isEqualTo(bytes + 4 * 64 * 64 + taps + filters);
            assertThat(work.written()).isEqualTo(4L * 4 * 64 * 4 * Double.BYTES);
            assertThat(work.int8()).isEqualTo(4 * bytes * 64);
            assertThat(work.fp32()).isZero();
        }
    }

    /** What the profiler is given: it sees every kernel on every shape, and no call twice. */
    @Test
    void momentsThatAreMeasuredOnceLaunchEachKernelOncePerShape() {
        emulator.forgetWork();
        MomentsSpeed.measure(
                0, 1 << 16, 0, row -> assertThat(row.microseconds()).isBetween(0.0, 1e9));
        Map<String, Emulator.Work> work = emulator.work();
        // Images of 112 and 56 by blocks, of 28 to 7 by warps; one position, channels last and [N, C] by features.
        assertThat(work.get("error_moments_block").calls()).isEqualTo(2);
        assertThat(work.get("error_moments_warp").calls()).isEqualTo(3);
        assertThat(work.get("error_moments_features").calls()).isEqualTo(1 + 6 + 1);
        assertThat(work.get("error_moments_fold").calls()).isEqualTo(2 * 13);
    }

    /** A pooling window reads most elements several times; memory gives them once. */
    @Test
    void whatACacheHoldsIsReadOnce() {
        try (CudaContext context = new CudaContext(CudaCards.require(0));
                DeviceTensor x = context.upload(floats(1, 64));
                DeviceTensor y = DeviceTensor.allocate(context, ElementType.FLOAT, 64)) {
            String source = """
                    #include "rebias.cuh"
                    extern "C" __global__ void elementwise(const float* from, float* to) {
                        float sum = 0;
                        for (int i = 0; i < 64; i++) sum += from[i];
                        to[threadIdx.x] = sum;
                    }
                    """;
            emulator.forgetWork();
            context.arguments()
                    .pointer(x.address())
                    .pointer(y.address())
                    .over(context.kernels().elementwise("sums", source), "sums", 64);
            context.download(y);
            Emulator.Work work = emulator.work().get("elementwise");
            assertThat(work.read()).isEqualTo(64L * Float.BYTES);
        }
    }

    @Test
    void librariesCountTheirOperandsAndProducts() {
        try (CudaContext context = new CudaContext(CudaCards.require(0));
                PreparedProduct product =
                        new PreparedProduct(context, LayerOps.parse(MATRIX, new long[] {20, 7}), floats(20, 7), false);
                PreparedConvolution convolution =
                        new PreparedConvolution(context, TestOps.pointwise(), floats(6, 5, 1, 1), false);
                DeviceTensor rows = context.upload(floats(3, 20));
                DeviceTensor image = context.upload(floats(2, 5, 4, 4))) {
            emulator.forgetWork();
            try (Tensor a = product.run(List.of(rows)).get(0);
                    Tensor b = convolution.run(List.of(image)).get(0)) {
                context.download((DeviceTensor) a);
                context.download((DeviceTensor) b);
            }
            Emulator.Work gemm = emulator.work().get("cublasSgemm");
            assertThat(gemm.read()).isEqualTo((3L * 20 + 20 * 7) * Float.BYTES);
            assertThat(gemm.written()).isEqualTo(3L * 7 * Float.BYTES);
            assertThat(gemm.fp32()).isEqualTo(3L * 20 * 7);
            assertThat(gemm.tf32()).isZero();
            Emulator.Work conv = emulator.work().get("cudnnConvolutionForward");
            assertThat(conv.read()).isEqualTo((2L * 5 * 16 + 6 * 5) * Float.BYTES);
            assertThat(conv.written()).isEqualTo(2L * 6 * 16 * Float.BYTES);
            assertThat(conv.fp32()).isEqualTo(2L * 6 * 16 * 5);
        }
    }
}
