package dev.rebias.samples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** An array of exactly an input's fixed shape is that input's value for every sample, and no picture. */
class InputsWithoutBatchTest {
    private static final int SAMPLES = 5;
    private static final Normalization PIXELS = new Normalization(2, new float[] {1, 2}, new float[] {1, 1});

    @TempDir
    Path folder;

    private static InputSpec image(long batch) {
        return new InputSpec("image", ElementType.FLOAT, new long[] {batch, 2, 3});
    }

    private static float[] counted(int n) {
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            values[i] = i;
        }
        return values;
    }

    private Path file(long[] shape, int samples) throws IOException {
        int n = Arrays.stream(shape).mapToInt(d -> (int) d).reduce(1, (a, b) -> a * b);
        Map<String, byte[]> arrays = new LinkedHashMap<>();
        arrays.put(
                "other",
                NpyWriter.npy(
                        "<f4",
                        NpyWriter.floats(counted(n)),
                        Arrays.stream(shape).mapToInt(d -> (int) d).toArray()));
        arrays.put("image", NpyWriter.npy("<f4", NpyWriter.floats(counted(samples * 6)), samples, 2, 3));
        Path file = folder.resolve("samples.npz");
        NpyWriter.npz(file, true, arrays);
        return file;
    }

    static Stream<Arguments> shapes() {
        return Stream.of(
                Arguments.of(new long[0], -1),
                Arguments.of(new long[] {1}, -1),
                Arguments.of(new long[] {2}, -1),
                Arguments.of(new long[] {SAMPLES}, -1),
                Arguments.of(new long[] {1, 4}, -1),
                Arguments.of(new long[] {3, 2}, -1),
                Arguments.of(new long[] {1, 2, 1, 2}, -1),
                Arguments.of(new long[] {2}, 1),
                Arguments.of(new long[] {1, 2}, 1),
                Arguments.of(new long[0], 1));
    }

    @ParameterizedTest
    @MethodSource("shapes")
    void everyBatchHasTheSameValueAsItIs(long[] shape, long batch) throws IOException {
        InputSpec other = new InputSpec("other", ElementType.FLOAT, shape);
        for (List<InputSpec> inputs : List.of(List.of(other, image(batch)), List.of(image(batch), other))) {
            int at = inputs.indexOf(other);
            try (Samples samples = Samples.open(file(shape, SAMPLES), PIXELS)) {
                BoundSamples bound = samples.bind(inputs);
                assertThat(bound.count()).isEqualTo(SAMPLES);
                assertThat(bound.counts(at)).isFalse();
                assertThat(bound.counts(1 - at)).isTrue();
                int seen = 0;
                try (Batches batches = bound.batches(2)) {
                    while (batches.hasNext()) {
                        List<HostTensor> all = batches.next();
                        assertThat(all.get(at).shape()).isEqualTo(shape);
                        assertThat(all.get(at).toFloats())
                                .isEqualTo(counted((int) all.get(at).elements()));
                        assertThat(all.get(1 - at).shape()[0]).isEqualTo(batches.samples());
                        assertThat(all.get(1 - at).floats().get(0)).isEqualTo(seen * 6 / 2f - 1);
                        seen += batches.samples();
                    }
                }
                assertThat(seen).isEqualTo(SAMPLES);
            }
        }
    }

    @Test
    void anArrayWithAValueForEachSampleStaysOne() throws IOException {
        InputSpec other = new InputSpec("other", ElementType.FLOAT, new long[] {1});
        try (Samples samples = Samples.open(file(new long[] {SAMPLES}, SAMPLES), Normalization.NONE);
                Batches batches = samples.bind(List.of(other, image(1))).batches(1)) {
            for (int i = 0; i < SAMPLES; i++) {
                assertThat(batches.next().get(0).toFloats()).containsExactly(i);
            }
        }
    }

    @Test
    void whereAllArraysAreOfFixedShapesTheLargestInputCountsSamples() {
        Map<String, HostTensor> arrays =
                Map.of("image", HostTensor.of(counted(12), 2, 2, 3), "other", HostTensor.of(counted(3), 3));
        InputSpec other = new InputSpec("other", ElementType.FLOAT, new long[] {3});
        try (Samples samples = Samples.of(arrays)) {
            BoundSamples bound = samples.bind(List.of(other, image(2)));
            assertThat(bound.count()).isEqualTo(2);
            assertThat(bound.counts(0)).isFalse();
        }
    }

    @Test
    void anArrayOfNeitherKindIsToldBothWays() throws IOException {
        InputSpec other = new InputSpec("other", ElementType.FLOAT, new long[] {2});
        try (Samples samples = Samples.open(file(new long[] {3}, SAMPLES), Normalization.NONE)) {
            assertThatThrownBy(() -> samples.bind(List.of(image(-1), other)))
                    .isInstanceOf(UnsupportedException.class)
                    .hasMessageContainingAll("array 'other'", "has 3 samples", "[2]");
        }
    }
}
