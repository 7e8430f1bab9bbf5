package dev.rebias.samples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.rebias.error.UsageException;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Samples that are held out, kept in memory, looked at while they are read. */
final class PickedSamplesTest {
    private static final List<InputSpec> INPUTS = List.of(
            new InputSpec("x", ElementType.FLOAT, new long[] {-1, 2}),
            new InputSpec("size", ElementType.FLOAT, new long[] {2}));

    /** Sample i is [i, -i], and an input is the same for all of them. */
    private static Samples samples(int count) {
        float[] values = new float[2 * count];
        for (int i = 0; i < count; i++) {
            values[2 * i] = i;
            values[2 * i + 1] = -i;
        }
        return Samples.of(Map.of("x", HostTensor.of(values, count, 2), "size", HostTensor.of(new float[] {7, 8}, 2)));
    }

    private static List<Integer> read(BoundSamples samples, int batchSize) {
        List<Integer> all = new ArrayList<>();
        try (Batches batches = samples.batches(batchSize)) {
            while (batches.hasNext()) {
                List<HostTensor> batch = batches.next();
                assertThat(batch.get(0).shape()[0]).isEqualTo(batches.samples());
                assertThat(batch.get(1).toFloats()).containsExactly(7, 8);
                for (int i = 0; i < batches.samples(); i++) {
                    float value = batch.get(0).floats().get(2 * i);
                    assertThat(batch.get(0).floats().get(2 * i + 1)).isEqualTo(-value);
                    all.add((int) value);
                }
            }
        }
        return all;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 8, 50})
    void heldOutSamplesAreSpreadAndTheRestIsAllOthersInOrder(int batchSize) {
        BoundSamples all = samples(20).bind(INPUTS);
        for (int n : new int[] {1, 2, 4, 7, 19}) {
            BoundSamples.Split split = all.split(n);
            List<Integer> held = read(split.heldOut(), batchSize);
            List<Integer> rest = read(split.rest(), batchSize);
            assertThat(held).hasSize(n).isSorted().isEqualTo(read(all.spread(n), 1));
            assertThat(rest).hasSize(20 - n).isSorted().doesNotContainAnyElementsOf(held);
            assertThat(held.get(0)).isLessThanOrEqualTo(20 / n);
            assertThat(held.get(n - 1)).isGreaterThanOrEqualTo(20 - 20 / n - 1);
        }
        assertThat(read(all.split(4).heldOut(), 3)).containsExactly(2, 7, 12, 17);
        for (int impossible : new int[] {0, 20, 21}) {
            assertThatThrownBy(() -> all.split(impossible))
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining("of 20 samples " + impossible + " cannot be held out");
        }
    }

    @Test
    void aLimitIsSpreadOverTheSetOrTakesTheFirst() {
        try (Samples all = samples(10)) {
            assertThat(read(all.spread(3).bind(INPUTS), 2)).containsExactly(1, 5, 8);
            assertThat(read(all.limit(3).bind(INPUTS), 2)).containsExactly(0, 1, 2);
            assertThat(read(all.limit(6).spread(2).bind(INPUTS), 2)).containsExactly(1, 4);
            assertThat(read(all.spread(99).bind(INPUTS), 4)).hasSize(10);
        }
    }

    @Test
    void samplesThatAreKeptAreReadOnceAndAreTheSame() {
        List<Integer> seen = new ArrayList<>();
        BoundSamples all = samples(9).bind(INPUTS).observed((input, values, n) -> {
            if (input == 0) {
                seen.add(n);
            }
        });
        BoundSamples kept = all.kept(9 * 2 * Float.BYTES);
        assertThat(seen).hasSize(9);
        for (int batchSize : new int[] {1, 4, 9}) {
            assertThat(read(kept, batchSize))
                    .isEqualTo(IntStream.range(0, 9).boxed().toList());
            assertThat(read(kept.split(3).rest(), batchSize)).containsExactly(0, 2, 3, 5, 6, 8);
        }
        assertThat(seen).hasSize(9);
        assertThat(all.kept(9 * 2 * Float.BYTES - 1)).isSameAs(all);
    }

    private static SampleSurvey survey(Samples samples, Optional<InputSurvey.Range> range, int batchSize) {
        SampleSurvey survey = new SampleSurvey(INPUTS, List.of(range, Optional.empty()));
        read(samples.bind(INPUTS).observed(survey), batchSize);
        return survey;
    }

    @Test
    void whatIsSeenOfSamplesDoesNotDependOnBatches() {
        InputSurvey.Range range = new InputSurvey.Range(-5, 3, 0.5);
        SampleSurvey one = survey(samples(10), Optional.of(range), 1);
        InputSurvey x = one.inputs().get(0);
        assertThat(x.least()).isEqualTo(-9);
        assertThat(x.most()).isEqualTo(9);
        assertThat(x.mean()).isCloseTo(0, within(1e-12));
        // 4 to 9 above, -6 to -9 below, of 20 values.
        assertThat(x.beyond()).isEqualTo(0.5);
        assertThat(x.constant()).isEqualTo(1);
        assertThat(x.firstConstant()).isZero();
        assertThat(one.distinct()).isEqualTo(10);
        for (int batchSize : new int[] {3, 10}) {
            SampleSurvey other = survey(samples(10), Optional.of(range), batchSize);
            assertThat(other.hash()).isEqualTo(one.hash());
            assertThat(other.inputs()).isEqualTo(one.inputs());
        }
        assertThat(survey(samples(10).limit(9), Optional.empty(), 4).hash()).isNotEqualTo(one.hash());
    }

    @Test
    void samplesThatAreAlikeAreCounted() {
        Samples alike = Samples.of(Map.of(
                "x",
                HostTensor.of(new float[] {1, -1, 1, -1, 0, 0, 1, -1}, 4, 2),
                "size",
                HostTensor.of(new float[] {7, 8}, 2)));
        SampleSurvey survey = survey(alike, Optional.empty(), 3);
        assertThat(survey.count()).isEqualTo(4);
        assertThat(survey.distinct()).isEqualTo(2);
        assertThat(survey.inputs().get(0).firstConstant()).isEqualTo(2);
    }
}
