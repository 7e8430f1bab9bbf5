package dev.rebias.samples;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.tensor.CodedTensor;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.HostValues;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Samples stored as bytes stay bytes on their way, whatever is done with them, and stand for the values that the
 * normalisation says.
 */
final class StoredBytesTest {
    private static final int COUNT = 11;
    private static final int[] SAMPLE = {3, 16, 17};
    private static final int ELEMENTS = 3 * 16 * 17;
    private static final InputSpec INPUT = new InputSpec("x", ElementType.FLOAT, new long[] {-1, 3, 16, 17});
    private static final Normalization NORMALIZATION =
            new Normalization(255, new float[] {0.485f, 0.456f, 0.406f}, new float[] {0.229f, 0.224f, 0.225f});

    @TempDir
    Path folder;

    private static byte[] random(int elements, int seed) {
        byte[] bytes = new byte[elements];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    private Path npy(String dtype, byte[] data) throws IOException {
        Path file = folder.resolve("x.npy");
        Files.write(file, NpyWriter.npy(dtype, data, data.length / ELEMENTS, SAMPLE[0], SAMPLE[1], SAMPLE[2]));
        return file;
    }

    /** Reads all batches as they are stored; every one must be bytes. */
    private static float[] stored(BoundSamples samples, int batchSize) {
        List<Float> all = new ArrayList<>();
        try (Batches batches = samples.batches(batchSize)) {
            while (batches.hasNext()) {
                HostValues values = batches.stored().get(0);
                assertThat(values).isInstanceOf(CodedTensor.class);
                assertThat(values.storedBytes()).isEqualTo((long) batches.samples() * ELEMENTS);
                for (float v : values.tensor().toFloats()) {
                    all.add(v);
                }
            }
        }
        float[] out = new float[all.size()];
        for (int i = 0; i < out.length; i++) {
            out[i] = all.get(i);
        }
        return out;
    }

    private static float[] expected(byte[] data, boolean signed, List<Integer> samples) {
        float[] out = new float[samples.size() * ELEMENTS];
        for (int k = 0; k < samples.size(); k++) {
            for (int i = 0; i < ELEMENTS; i++) {
                int channel = i / (ELEMENTS / SAMPLE[0]);
                byte code = data[samples.get(k) * ELEMENTS + i];
                float x = signed ? code : Byte.toUnsignedInt(code);
                out[k * ELEMENTS + i] = (x / 255 - NORMALIZATION.mean()[channel])
                        / NORMALIZATION.std()[channel];
            }
        }
        return out;
    }

    @ParameterizedTest
    @CsvSource({"|u1,1", "|u1,4", "|i1,4", "|u1,11"})
    void arraysOfBytesAreReadAsBytes(String dtype, int batchSize) throws IOException {
        byte[] data = random(COUNT * ELEMENTS, 1);
        try (Samples samples = Samples.open(npy(dtype, data), NORMALIZATION)) {
            assertThat(stored(samples.bind(List.of(INPUT)), batchSize))
                    .containsExactly(expected(data, dtype.equals("|i1"), List.of(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3, 8})
    void samplesHeldOutKeptAndObservedStayBytes(int batchSize) throws IOException {
        byte[] data = random(COUNT * ELEMENTS, 2);
        List<UnaryOperator<BoundSamples>> ways = List.of(
                s -> s,
                s -> s.kept(COUNT * ELEMENTS),
                s -> s.observed(
                        (input, values, n) -> assertThat(values.shape()[0]).isEqualTo(n)));
        try (Samples samples = Samples.open(npy("|u1", data), NORMALIZATION)) {
            for (UnaryOperator<BoundSamples> way : ways) {
                BoundSamples.Split split =
                        way.apply(samples.bind(List.of(INPUT))).split(3);
                assertThat(stored(split.heldOut(), batchSize)).containsExactly(expected(data, false, List.of(1, 5, 9)));
                assertThat(stored(split.rest(), batchSize))
                        .containsExactly(expected(data, false, List.of(0, 2, 3, 4, 6, 7, 8, 10)));
            }
        }
    }

    @Test
    void arraysThatAreJoinedStayBytes() throws IOException {
        byte[] data = random(COUNT * ELEMENTS, 3);
        Map<String, byte[]> arrays = new LinkedHashMap<>();
        int from = 0;
        for (int n : new int[] {2, 1, 8}) {
            byte[] part = java.util.Arrays.copyOfRange(data, from * ELEMENTS, (from + n) * ELEMENTS);
            arrays.put("a" + from, NpyWriter.npy("|u1", part, n, SAMPLE[0], SAMPLE[1], SAMPLE[2]));
            from += n;
        }
        Path file = folder.resolve("x.npz");
        NpyWriter.npz(file, true, arrays);
        try (Samples samples = Samples.open(file, NORMALIZATION).joined()) {
            BoundSamples bound = samples.bind(List.of(INPUT));
            assertThat(stored(bound.spread(4), 4)).containsExactly(expected(data, false, List.of(1, 4, 6, 9)));
            assertThat(stored(bound.split(3).rest().spread(4), 3))
                    .containsExactly(expected(data, false, List.of(2, 4, 7, 10)));
            assertThat(stored(samples.bind(List.of(INPUT)), 4))
                    .containsExactly(expected(data, false, List.of(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)));
        }
    }

    @Test
    void wholeNumbersOfMoreBytesAreFloats() throws IOException {
        byte[] data = random(2 * 2 * ELEMENTS, 4);
        Path file = folder.resolve("x.npy");
        Files.write(file, NpyWriter.npy("<u2", data, 2, SAMPLE[0], SAMPLE[1], SAMPLE[2]));
        try (Samples samples = Samples.open(file, NORMALIZATION);
                Batches batches = samples.bind(List.of(INPUT)).batches(2)) {
            assertThat(batches.stored().get(0)).isInstanceOf(HostTensor.class);
        }
    }
}
