package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.rebias.device.CleanEmulator;
import dev.rebias.device.Emulator;
import dev.rebias.device.Resources;
import dev.rebias.tensor.ElementType;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntSupplier;
import org.bytedeco.cuda.global.cublas;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What the probe finds out of products, and that the emulated cuBLASLt has the real one's rules. */
@Tag("cuda")
@Tag("emulator")
@ExtendWith(CleanEmulator.class)
final class ProductProbeTest {
    private static final List<Integer> BATCHES = List.of(1, 7, 48, 128);

    private final Emulator emulator = Emulator.require();

    /**
     * The emulator adds float32 in an order that depends on the batch: bits that do not depend on it are then those of
     * integers alone.
     */
    @Test
    void sumsOf8BitIntegersAreExactByEveryWayAndBitsDependOnTheBatchWhereTheOrderDoes() {
        emulator.forgetWork();
        List<ProbeRow> rows = new ArrayList<>();
        try (LibraryProbe probe = new LibraryProbe(0, key -> key.startsWith("cublas"), rows::add)) {
            probe.run(BATCHES);
        }
        List<String> expected = new ArrayList<>();
        for (String way : List.of(
                "cublas\tmatrix\tproduct\tdefault\tFMA",
                "cublas\tmatrix\tproduct\tdefault\tTF32",
                "cublasLt\tmatrix\tproduct\theuristic\tFMA",
                "cublasLt\tmatrix\tproduct\theuristic\tTF32",
                "cublasLt\tmatrix\tproduct\theuristic\tINT8")) {
            for (int batch : BATCHES) {
                boolean same = batch == 1 || way.endsWith("INT8");
                expected.add(
                        String.join("\t", way, Integer.toString(batch), "SUCCESS", "time", "yes", same ? "yes" : "no"));
            }
        }
        assertThat(rows.stream().map(r -> r.line().replaceFirst("SUCCESS\t[0-9.]+", "SUCCESS\ttime")))
                .containsExactlyElementsOf(expected);
        // Four calls for each batch size; those of float32 once more for the bits.
        long once = 160 * 96 * (1 + 7 + 48 + 128);
        Emulator.Work light = emulator.work().get("cublasLtMatmul");
        assertThat(light.calls()).isEqualTo((2 + 2 + 1) * 4 * 4);
        assertThat(List.of(light.fp32(), light.tf32(), light.int8())).containsExactly(8 * once, 8 * once, 4 * once);
    }

    /**
     * Each row is a first call and three timed ones with integers, then as many for the bits, of which the first fails
     * here.
     */
    @ParameterizedTest
    @ValueSource(ints = {0, 1})
    void aCallThatIsRefusedHasNotTheSameBits(int row) {
        List<ProbeRow> rows = new ArrayList<>();
        try (LibraryProbe probe =
                new LibraryProbe(0, key -> key.startsWith("cublas\tmatrix\tproduct\tdefault\tFMA"), rows::add)) {
            emulator.fail("cublasSgemm_v2", row * 8L + 5);
            probe.run(List.of(1, 1, 1));
        }
        assertThat(emulator.failed()).isEqualTo("cublasSgemm_v2");
        List<Boolean> same = new ArrayList<>(List.of(true, true, true));
        same.set(row, false);
        assertThat(rows.stream().map(r -> r.sameBits().orElseThrow())).containsExactlyElementsOf(same);
    }

    /** Eight-bit products want whole groups of 4 in all but the batch; those of float32 do not. */
    @ParameterizedTest
    @CsvSource({
        "CUBLAS_COMPUTE_32I, 7, 160, 96, true",
        "CUBLAS_COMPUTE_32I, 1, 4, 4, true",
        "CUBLAS_COMPUTE_32I, 8, 162, 96, false",
        "CUBLAS_COMPUTE_32I, 8, 160, 98, false",
        "CUBLAS_COMPUTE_32I, 8, 1, 96, false",
        "CUBLAS_COMPUTE_32F, 3, 161, 97, true",
        "CUBLAS_COMPUTE_32F_FAST_TF32, 3, 161, 97, true"
    })
    void sizesThatIntegersCannotHaveAreRefused(String compute, int batch, int in, int out, boolean supported)
            throws ReflectiveOperationException {
        try (CudaContext context = new CudaContext(CudaCards.require(0));
                DeviceTensor x = DeviceTensor.allocate(context, ElementType.FLOAT, batch, in);
                DeviceTensor w = DeviceTensor.allocate(context, ElementType.FLOAT, out, in);
                DeviceTensor y = DeviceTensor.allocate(context, ElementType.FLOAT, batch, out);
                Resources owned = new Resources()) {
            IntSupplier call = new LightProduct(cublas.class.getField(compute).getInt(null), batch, in, out)
                    .ready(context, owned, x.address(), w.address(), y.address());
            assertThat(call.getAsInt())
                    .isEqualTo(supported ? cublas.CUBLAS_STATUS_SUCCESS : cublas.CUBLAS_STATUS_NOT_SUPPORTED);
            context.synchronise();
        }
    }

    @Test
    void addressesThatTheAlgorithmWasNotChosenForAreABreach() {
        try (CudaContext context = new CudaContext(CudaCards.require(0));
                DeviceTensor a = DeviceTensor.allocate(context, ElementType.FLOAT, 8, 8);
                Resources owned = new Resources()) {
            LightProduct product = new LightProduct(cublas.CUBLAS_COMPUTE_32I, 4, 4, 4);
            IntSupplier call = product.ready(context, owned, a.address() + 4, a.address(), a.address());
            assertThat(call.getAsInt()).isEqualTo(cublas.CUBLAS_STATUS_INVALID_VALUE);
            assertThat(emulator.violation()).contains("cublasLtMatmul: B at", "not aligned to the 256 bytes");
            emulator.reset();
        }
    }

    /** The call itself succeeds: a card does not look before it computes. */
    @Test
    void memoryThatIsNotTheCardsIsABreachWhenTheProductIsComputed() {
        try (CudaContext context = new CudaContext(CudaCards.require(0));
                DeviceTensor a = DeviceTensor.allocate(context, ElementType.FLOAT, 8, 8);
                Resources owned = new Resources()) {
            IntSupplier call = new LightProduct(cublas.CUBLAS_COMPUTE_32F, 4, 4, 4)
                    .ready(context, owned, a.address(), a.address(), 1 << 20);
            assertThat(call.getAsInt()).isEqualTo(cublas.CUBLAS_STATUS_SUCCESS);
            assertThatThrownBy(context::synchronise).isInstanceOf(CudaException.class);
            assertThat(emulator.violation()).contains("cublasLtMatmul, D");
            emulator.reset();
        }
    }
}
