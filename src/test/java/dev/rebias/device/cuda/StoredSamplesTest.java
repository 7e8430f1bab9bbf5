package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.DeviceSession;
import dev.rebias.LayerResult;
import dev.rebias.device.CleanEmulator;
import dev.rebias.device.Emulator;
import dev.rebias.device.Tensor;
import dev.rebias.golden.ReferencePair;
import dev.rebias.samples.Batches;
import dev.rebias.samples.ImageOptions;
import dev.rebias.samples.InputSpec;
import dev.rebias.samples.Normalization;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import dev.rebias.tensor.CodedTensor;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.HostValues;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Samples that are stored as bytes go up as bytes, and are on the card what the host would have made of them. */
@Tag("cuda")
@Tag("emulator")
@ExtendWith(CleanEmulator.class)
final class StoredSamplesTest {
    private static final int SIZE = 12;

    private static final Normalization PER_CHANNEL =
            new Normalization(255, new float[] {0.485f, 0.456f, 0.406f}, new float[] {0.229f, 0.224f, 0.225f});

    @TempDir
    Path folder;

    private final Emulator emulator = Emulator.require();

    private static CodedTensor coded(CodedTensor.Order order, ElementType type, long... shape) {
        Random random = new Random(order.hashCode());
        HostTensor codes = HostTensor.zeros(type, shape);
        byte[] bytes = new byte[(int) codes.elements()];
        random.nextBytes(bytes);
        codes.bytes().put(bytes);
        float[] table = new float[CodedTensor.CODES * order.channels()];
        for (int i = 0; i < table.length; i++) {
            table[i] = (float) random.nextGaussian();
        }
        return new CodedTensor(shape, codes, order, table);
    }

    private static byte[] bits(HostTensor tensor) {
        byte[] bytes = new byte[tensor.bytes().capacity()];
        tensor.bytes().get(bytes);
        return bytes;
    }

    static Stream<CodedTensor> tensors() {
        return Stream.of(
                coded(CodedTensor.Order.same(5, 3, 77), ElementType.UINT8, 5, 3, 7, 11),
                coded(CodedTensor.Order.same(4, 1, 1000), ElementType.INT8, 4, 1000),
                coded(CodedTensor.Order.same(1, 1, 1), ElementType.UINT8, 1, 1),
                coded(CodedTensor.Order.same(300, 6, 1), ElementType.UINT8, 10, 30, 6),
                // Pixels with their channels side by side, as planes and as they are, in both orders.
                coded(new CodedTensor.Order(2, 3, 63, 189, 1, 3, 0), ElementType.UINT8, 2, 3, 7, 9),
                coded(new CodedTensor.Order(2, 3, 63, 189, -1, 3, 2), ElementType.UINT8, 2, 3, 7, 9),
                coded(new CodedTensor.Order(126, 3, 1, 3, -1, 1, 2), ElementType.UINT8, 2, 7, 9, 3),
                coded(CodedTensor.Order.same(0, 3, 4), ElementType.UINT8, 0, 3, 2, 2));
    }

    @ParameterizedTest
    @MethodSource("tensors")
    void theCardHasTheHostsBitsAndWasSentBytes(CodedTensor values) {
        try (CudaDevice device = CudaDevice.open(0)) {
            long before = emulator.counter("hostToDeviceBytes");
            try (Tensor there = device.upload(values)) {
                assertThat(there.shape()).isEqualTo(values.shape());
                assertThat(bits(device.download(there))).isEqualTo(bits(values.tensor()));
            }
            long sent = emulator.counter("hostToDeviceBytes") - before;
            long elements = values.codes().elements();
            assertThat(sent)
                    .isEqualTo(
                            elements == 0
                                    ? 0
                                    : elements + values.table().bytes().capacity());
            assertThat(device.log().transfers().hostToDeviceBytes()).isEqualTo(sent);
            assertThat(device.liveBlocks()).isZero();
        }
    }

    @ParameterizedTest
    @EnumSource
    void correctionsFromBytesAreThoseFromFloats(Reference reference) {
        ReferencePair pair = ReferencePair.FASHION_W3A8;
        int samples = 20;
        int batch = 8;
        InputSpec input = new InputSpec("input", ElementType.FLOAT, new long[] {-1, 1, 28, 28});
        CorrectionOptions options = CorrectionOptions.builder()
                .reference(reference)
                .batchSize(batch)
                .build();
        try (Samples stored = pair.samples().limit(samples);
                CudaDevice device = CudaDevice.open(0);
                Batches whole = stored.bind(List.of(input)).batches(samples)) {
            HostTensor floats = whole.next().get(0);
            long start = device.log().transfers().hostToDeviceBytes();
            CorrectionResult fromBytes = pair.correction().correct(stored, options, DeviceSession.of(device));
            long bytes = device.log().transfers().hostToDeviceBytes() - start;
            CorrectionResult fromFloats;
            try (Samples asFloats = Samples.of(Map.of("input", floats))) {
                fromFloats = pair.correction().correct(asFloats, options, DeviceSession.of(device));
            }
            long more = device.log().transfers().hostToDeviceBytes() - start - 2 * bytes;
            long tables = 3L * CodedTensor.CODES * Float.BYTES;
            assertThat(more).isEqualTo(3 * floats.elements() - tables);
            assertThat(deltas(fromBytes)).isEqualTo(deltas(fromFloats));
        }
    }

    private static List<Long> deltas(CorrectionResult result) {
        List<Long> bits = new ArrayList<>();
        for (LayerResult layer : result.layers()) {
            for (double value : layer.moments().orElseThrow().delta()) {
                bits.add(Double.doubleToRawLongBits(value));
            }
        }
        assertThat(bits).hasSizeGreaterThan(1000);
        return bits;
    }

    @ParameterizedTest
    @CsvSource({"RGB,false", "RGB,true", "BGR,false", "BGR,true"})
    void imagesGoUpAsTheirPixels(ImageOptions.Order order, boolean channelsLast) throws IOException {
        Random random = new Random(5);
        int count = 5;
        for (int n = 0; n < count; n++) {
            BufferedImage image = new BufferedImage(SIZE, SIZE, BufferedImage.TYPE_INT_RGB);
            for (int i = 0; i < SIZE * SIZE; i++) {
                image.setRGB(i % SIZE, i / SIZE, random.nextInt());
            }
            ImageIO.write(image, "png", folder.resolve(n + ".png").toFile());
        }
        ImageOptions options = ImageOptions.AS_THEY_ARE.withOrder(order);
        long[] shape = channelsLast ? new long[] {-1, SIZE, SIZE, 3} : new long[] {-1, 3, SIZE, SIZE};
        InputSpec input = new InputSpec("x", ElementType.FLOAT, shape, channelsLast);
        try (Samples samples = Samples.open(folder, PER_CHANNEL, options);
                Batches floats = samples.bind(List.of(input)).batches(2);
                Batches stored = samples.bind(List.of(input)).batches(2);
                CudaDevice device = CudaDevice.open(0)) {
            while (stored.hasNext()) {
                HostValues values = stored.stored().get(0);
                assertThat(values).isInstanceOf(CodedTensor.class);
                try (Tensor there = device.upload(values)) {
                    assertThat(bits(device.download(there)))
                            .isEqualTo(bits(floats.next().get(0)));
                }
            }
            long pixels = 3L * SIZE * SIZE;
            assertThat(device.log().transfers().hostToDeviceBytes())
                    .isEqualTo(count * pixels + 3 * 3L * CodedTensor.CODES * Float.BYTES);
        }
    }

    /** Otherwise they would not overlap with the work on the batches before. */
    @Test
    void uploadsOfBytesWaitForNoMoreThanThoseOfFloats() {
        CodedTensor batch = coded(CodedTensor.Order.same(4, 1, 1 << 18), ElementType.UINT8, 4, 1 << 18);
        try (CudaContext context = new CudaContext(CudaCards.require(0))) {
            // All of the pool has been used, so that a new block is one that work may still be done on.
            context.pool().allocate(context.pool().capacity(), "all").close();
            List<Long> waits = new ArrayList<>();
            for (boolean bytes : new boolean[] {true, false}) {
                for (int b = 0; b < 4; b++) {
                    long before = emulator.counter("call:cuStreamWaitEvent");
                    DeviceTensor there = bytes ? context.upload(batch) : context.upload(batch.tensor());
                    waits.add(emulator.counter("call:cuStreamWaitEvent") - before);
                    there.close();
                }
            }
            assertThat(waits).containsExactly(2L, 1L, 1L, 1L, 1L, 1L, 1L, 1L);
        }
    }

    @Test
    void memoryThatWaitsForTheNextBytesGoesBackWhereThePoolRunsShort() {
        CodedTensor batch = coded(CodedTensor.Order.same(4, 1, 1 << 18), ElementType.UINT8, 4, 1 << 18);
        emulator.memory(1 << 27);
        try (CudaContext context = new CudaContext(CudaCards.require(0))) {
            for (int i = 0; i < 3; i++) {
                DeviceTensor there = context.upload(batch);
                assertThat(bits(context.download(there))).isEqualTo(bits(batch.tensor()));
                there.close();
                context.pool().allocate(context.pool().capacity(), "all").close();
            }
            assertThat(context.pool().blocks()).isZero();
            assertThat(context.pool().used()).isZero();
        }
    }
}
