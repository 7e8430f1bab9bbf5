package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.rebias.device.CleanEmulator;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.bytedeco.cuda.cudnn.cudnnTensorStruct;
import org.bytedeco.cuda.global.cublas;
import org.bytedeco.cuda.global.cudnn;
import org.bytedeco.javacpp.SizeTPointer;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What real cuDNN and cuBLAS refuse or round, the emulator refuses and rounds too. */
@Tag("cuda")
@Tag("emulator")
@SuppressWarnings("deprecation")
@ExtendWith(CleanEmulator.class)
final class LibraryRulesTest {
    @TempDir
    Path folder;

    /** A convolution of that many spatial dimensions, 3 wide in each, of 8 x .. x 8 positions and 2 groups. */
    private static ConvolutionDescriptors convolution(int spatial, long stride, long dilation) {
        long out = (8 - 2 * dilation - 1) / stride + 1;
        long[] x = new long[spatial + 2];
        long[] w = new long[spatial + 2];
        long[] y = new long[spatial + 2];
        for (int i = 0; i < spatial; i++) {
            x[i + 2] = 8;
            w[i + 2] = 3;
            y[i + 2] = out;
        }
        x[0] = y[0] = 2;
        x[1] = y[1] = w[0] = 4;
        w[1] = 2;
        List<Long> strides = Collections.nCopies(spatial, stride);
        List<Long> dilations = Collections.nCopies(spatial, dilation);
        return new ConvolutionDescriptors(
                x, w, y, Collections.nCopies(spatial, 0L), strides, dilations, 2, false, "a test's convolution");
    }

    @ParameterizedTest
    @CsvSource({
        // forward, algorithm, spatial dimensions, stride, dilation, supported
        "true, 0, 2, 1, 1, true",
        "true, 0, 2, 2, 2, true",
        "true, 0, 3, 1, 2, true",
        "true, 1, 2, 1, 1, true",
        "true, 1, 2, 1, 2, false",
        "true, 1, 3, 2, 1, true",
        "true, 1, 3, 1, 2, false",
        "true, 3, 2, 1, 1, false",
        "true, 6, 2, 1, 1, true",
        "true, 6, 2, 2, 1, false",
        "true, 6, 3, 1, 1, false",
        "false, 0, 3, 1, 2, true",
        "false, 1, 2, 2, 1, true",
        "false, 1, 2, 1, 2, true",
        "false, 1, 3, 2, 1, true",
        "false, 1, 3, 1, 2, false",
        "false, 4, 3, 1, 1, false",
        "false, 9, 2, 1, 1, false",
    })
    void combinationsThatCudnnDoesNotSupportAreRefusedWithItsReason(
            boolean forward, int algorithm, int spatial, long stride, long dilation, boolean supported) {
        try (CudaContext context = new CudaContext(CudaCards.require(0));
                ConvolutionDescriptors d = convolution(spatial, stride, dilation);
                SizeTPointer bytes = new SizeTPointer(1)) {
            int status = forward
                    ? cudnn.cudnnGetConvolutionForwardWorkspaceSize(
                            context.cudnn(), d.x(), d.w(), d.convolution(), d.y(), algorithm, bytes)
                    : cudnn.cudnnGetConvolutionBackwardDataWorkspaceSize(
                            context.cudnn(), d.w(), d.y(), d.convolution(), d.x(), algorithm, bytes);
            assertThat(status).isEqualTo(supported ? cudnn.CUDNN_STATUS_SUCCESS : cudnn.CUDNN_STATUS_NOT_SUPPORTED);
            if (!supported) {
                assertThatThrownBy(() -> Status.cudnn(status, "the call", d.what()))
                        .isInstanceOf(CudaException.class)
                        .hasMessageContaining("the call (a test's convolution) failed: CUDNN_STATUS_NOT_SUPPORTED")
                        .hasMessageContaining("algorithm " + algorithm + " does not support " + spatial);
            }
        }
    }

    /** cuDNN gives a reason once. */
    @Test
    void aReasonIsNotToldOfALaterFailure() {
        try (CudaContext context = new CudaContext(CudaCards.require(0));
                ConvolutionDescriptors d = convolution(3, 1, 2);
                SizeTPointer bytes = new SizeTPointer(1)) {
            int status = cudnn.cudnnGetConvolutionBackwardDataWorkspaceSize(
                    context.cudnn(), d.w(), d.y(), d.convolution(), d.x(), 1, bytes);
            assertThatThrownBy(() -> Status.cudnn(status, "one", "")).hasMessageContaining(", convolution backward");
            assertThatThrownBy(() -> Status.cudnn(status, "two", ""))
                    .hasMessage("two failed: CUDNN_STATUS_NOT_SUPPORTED");
        }
    }

    @Test
    void tensorsOfTwoGigaElementsAreRefused() {
        cudnnTensorStruct tensor = new cudnnTensorStruct();
        assertThat(CudaLibraries.missing()).isEmpty();
        Status.cudnn(cudnn.cudnnCreateTensorDescriptor(tensor), "cudnnCreateTensorDescriptor", "");
        try {
            int[] strides = {1 << 30, 1 << 30, 1 << 15, 1};
            int[] half = {1, 1, 1 << 15, 1 << 15};
            int[] whole = {2, 1, 1 << 15, 1 << 15};
            assertThat(cudnn.cudnnSetTensorNdDescriptor(tensor, cudnn.CUDNN_DATA_FLOAT, 4, half, strides))
                    .isEqualTo(cudnn.CUDNN_STATUS_SUCCESS);
            int status = cudnn.cudnnSetTensorNdDescriptor(tensor, cudnn.CUDNN_DATA_FLOAT, 4, whole, strides);
            assertThatThrownBy(() -> Status.cudnn(status, "call", ""))
                    .hasMessageContaining("CUDNN_STATUS_NOT_SUPPORTED")
                    .hasMessageContaining("2147483648 elements");
        } finally {
            Status.cudnn(cudnn.cudnnDestroyTensorDescriptor(tensor), "cudnnDestroyTensorDescriptor", "");
        }
    }

    /** A table that a card has written takes the place of the one from the documentation. */
    @Test
    void anotherTableOfWhatIsSupportedTakesItsPlace() throws Exception {
        Path table = folder.resolve("table.tsv");
        try (Stream<String> lines = Files.lines(CardProcess.emulator().resolve("cudnn_support.tsv"))) {
            Files.writeString(
                    table,
                    lines.filter(l -> !l.startsWith("backward\t1\t2")).collect(Collectors.joining("\n", "", "\n")));
        }
        CardProcess outcome = CardProcess.run(
                folder,
                Map.of("EMULATOR_CUDNN_SUPPORT", table.toString()),
                List.of("-Drebias.cache=" + System.getProperty("rebias.cache", folder.toString())),
                "doctor",
                "--deep");
        assertThat(outcome.exitCode()).as(outcome.output()).isEqualTo(1);
        assertThat(outcome.output())
                .contains("ConvTranspose of [2,8,7,9]")
                .contains("CUDNN_STATUS_NOT_SUPPORTED, convolution backward: algorithm 1 does not support 2");
    }

    /** 10 bits of mantissa: what float32 holds beyond is lost, whole numbers up to 2^11 and NaN are not. */
    @ParameterizedTest
    @CsvSource({
        "1.00024414, 1", // 1 + 2^-12
        "1.00048828, 1.00097656", // 1 + 2^-11, half way
        "255, 255",
        "-128, -128",
        "2047, 2047",
        "2049, 2050",
        "3.4028234e38, Infinity",
        "NaN, NaN",
        "-Infinity, -Infinity"
    })
    void tensorOperationsRoundOperandsToTf32AndFma32DoesNot(float operand, float rounded) {
        try (CudaContext context = new CudaContext(CudaCards.require(0))) {
            assertThat(product(context, operand)).isEqualTo(Float.valueOf(operand));
            Status.cublas(
                    cublas.cublasSetMathMode(context.cublas(), cublas.CUBLAS_TF32_TENSOR_OP_MATH),
                    "cublasSetMathMode",
                    "");
            assertThat(product(context, operand)).isEqualTo(Float.valueOf(rounded));
            assertThat(convolution(context, operand, cudnn.CUDNN_FMA_MATH)).isEqualTo(Float.valueOf(operand));
            assertThat(convolution(context, operand, cudnn.CUDNN_TENSOR_OP_MATH))
                    .isEqualTo(Float.valueOf(rounded));
        }
    }

    private static float product(CudaContext context, float operand) {
        try (DeviceTensor a = context.upload(HostTensor.of(new float[] {operand}, 1));
                DeviceTensor b = context.upload(HostTensor.of(new float[] {1}, 1));
                DeviceTensor y = DeviceTensor.allocate(context, ElementType.FLOAT, 1)) {
            PreparedProduct.multiply(
                    context,
                    context.one(),
                    new PreparedProduct.Factor(a.address(), false),
                    new PreparedProduct.Factor(b.address(), false),
                    context.zero(),
                    y.address(),
                    1,
                    1,
                    1,
                    1,
                    0,
                    0);
            return context.download(y).toFloats()[0];
        }
    }

    private static float convolution(CudaContext context, float operand, int math) {
        long[] one = {1, 1, 1, 1};
        List<Long> ones = List.of(1L, 1L);
        try (ConvolutionDescriptors d = new ConvolutionDescriptors(
                        one, one, one, List.of(0L, 0L), ones, ones, 1, false, "one product");
                DeviceTensor x = context.upload(HostTensor.of(new float[] {operand}, 1));
                DeviceTensor w = context.upload(HostTensor.of(new float[] {1}, 1));
                DeviceTensor y = DeviceTensor.allocate(context, ElementType.FLOAT, 1)) {
            Status.cudnn(cudnn.cudnnSetConvolutionMathType(d.convolution(), math), "cudnnSetConvolutionMathType", "");
            Status.cudnn(
                    cudnn.cudnnConvolutionForward(
                            context.cudnn(),
                            context.one(),
                            d.x(),
                            new Address(x.address()),
                            d.w(),
                            new Address(w.address()),
                            d.convolution(),
                            cudnn.CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM,
                            new Address(0),
                            0,
                            context.zero(),
                            d.y(),
                            new Address(y.address())),
                    "cudnnConvolutionForward",
                    d.what());
            return context.download(y).toFloats()[0];
        }
    }
}
