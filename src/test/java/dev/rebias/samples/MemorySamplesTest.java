package dev.rebias.samples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.nio.FloatBuffer;
import java.nio.ReadOnlyBufferException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tensors in memory as samples. */
class MemorySamplesTest {
    private static final InputSpec X = new InputSpec("x", ElementType.FLOAT, new long[] {-1, 2});
    private static final InputSpec IDS = new InputSpec("ids", ElementType.INT64, new long[] {-1});

    private static HostTensor counting(int samples) {
        float[] values = new float[2 * samples];
        for (int i = 0; i < values.length; i++) {
            values[i] = i - 0.5f;
        }
        return HostTensor.of(values, samples, 2);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 64, 1000})
    void batchesOfAnySizeGiveTheTensorsAsTheyAreAgainAndAgain(int batchSize) {
        long[] ids = new long[65];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = Long.MAX_VALUE - i;
        }
        Map<String, HostTensor> tensors = new LinkedHashMap<>();
        tensors.put("unused", HostTensor.of(new float[] {Float.NaN}, 1));
        tensors.put("ids", HostTensor.of(ids, 65));
        tensors.put("x", counting(65));
        try (Samples samples = Samples.of(tensors)) {
            BoundSamples bound = samples.bind(List.of(X, IDS));
            assertThat(bound.count()).isEqualTo(65);
            for (int round = 0; round < 2; round++) {
                int at = 0;
                try (Batches batches = bound.batches(batchSize)) {
                    while (batches.hasNext()) {
                        List<HostTensor> batch = batches.next();
                        int n = Math.min(batchSize, 65 - at);
                        assertThat(batch.get(0).shape()).containsExactly(n, 2);
                        assertThat(batch.get(1).shape()).containsExactly(n);
                        for (int i = 0; i < n; i++, at++) {
                            assertThat(batch.get(0).floats().get(2 * i)).isEqualTo(2 * at - 0.5f);
                            assertThat(batch.get(0).floats().get(2 * i + 1)).isEqualTo(2 * at + 0.5f);
                            assertThat(batch.get(1).longs().get(i)).isEqualTo(Long.MAX_VALUE - at);
                        }
                    }
                }
                assertThat(at).isEqualTo(65);
            }
        }
    }

    @Test
    void aLimitKeepsTheFirstSamples() {
        try (Samples samples = Samples.of(Map.of("x", counting(10)));
                Batches batches = samples.limit(3).bind(List.of(X)).batches(2)) {
            assertThat(batches.next().get(0).toFloats()).containsExactly(-0.5f, 0.5f, 1.5f, 2.5f);
            assertThat(batches.next().get(0).toFloats()).containsExactly(3.5f, 4.5f);
            assertThat(batches.hasNext()).isFalse();
        }
    }

    @Test
    void batchesCannotBeWrittenToSoThatTheSamplesStayWhatTheyAre() {
        HostTensor tensor = counting(2);
        try (Samples samples = Samples.of(Map.of("x", tensor));
                Batches batches = samples.bind(List.of(X)).batches(2)) {
            FloatBuffer batch = batches.next().get(0).floats();
            assertThatThrownBy(() -> batch.put(0, 99)).isInstanceOf(ReadOnlyBufferException.class);
            assertThat(tensor.floats().get(0)).isEqualTo(-0.5f);
        }
    }

    private static void assertRefused(HostTensor tensor, InputSpec input, String... parts) {
        try (Samples samples = Samples.of(Map.of("x", tensor))) {
            assertThatThrownBy(() -> samples.bind(List.of(input)))
                    .isInstanceOf(UnsupportedException.class)
                    .hasMessageContainingAll(parts);
        }
    }

    @Test
    void typesAreNotConvertedAndShapesMustFit() {
        assertRefused(HostTensor.zeros(ElementType.UINT8, 3, 2), X, "array 'x'", "UINT8", "FLOAT");
        assertRefused(HostTensor.zeros(ElementType.FLOAT, 3), X, "array 'x'", "[3]", "[N,2]");
        assertRefused(HostTensor.zeros(ElementType.FLOAT, 3, 4), X, "array 'x'", "[3,4]", "[N,2]");
        assertRefused(HostTensor.zeros(ElementType.FLOAT, 0, 2), X, "samples in memory", "no samples");
    }

    @Test
    void anInputWithoutATensorIsRefusedWithTheNamesOfBoth() {
        try (Samples samples = Samples.of(Map.of("x", counting(1)))) {
            assertThatThrownBy(() -> samples.bind(List.of(X, IDS)))
                    .isInstanceOf(UnsupportedException.class)
                    .hasMessageContainingAll("samples in memory", "[x]", "[x, ids]", "'ids' is missing");
        }
    }

    @Test
    void aValueThatIsNotFiniteIsRefusedWithTheIndexOfItsSample() {
        HostTensor tensor = counting(5);
        tensor.floats().put(7, Float.NaN);
        try (Samples samples = Samples.of(Map.of("x", tensor));
                Batches batches = samples.bind(List.of(X)).batches(2)) {
            batches.next();
            assertThatThrownBy(batches::next)
                    .isInstanceOf(UnsupportedException.class)
                    .hasMessageContainingAll("'x'", "NaN", "sample 3");
        }
    }
}
