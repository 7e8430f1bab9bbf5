package dev.rebias.samples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** Samples are read by one thread at a time and looked at by many: what is found does not depend on who looks when. */
final class SurveyByManyTest {
    private static final int COUNT = 60;
    private static final InputSpec INPUT = new InputSpec("x", ElementType.FLOAT, new long[] {-1, 3, 40, 40});
    private static final List<Optional<InputSurvey.Range>> RANGE =
            List.of(Optional.of(new InputSurvey.Range(-1, 1, 0.1)));

    /** Every tenth is constant, and repeats the one before. */
    private static List<HostTensor> samples() {
        Random random = new Random(9);
        List<HostTensor> all = new ArrayList<>();
        for (int n = 0; n < COUNT; n++) {
            HostTensor sample = HostTensor.zeros(ElementType.FLOAT, 1, 3, 40, 40);
            for (int i = 0; i < sample.elements(); i++) {
                sample.floats().put(i, n % 10 == 7 ? 0.25f : (float) random.nextGaussian());
            }
            all.add(sample);
        }
        return all;
    }

    @Test
    void whoLooksAndWhenChangesNothing() throws Exception {
        List<HostTensor> samples = samples();
        SampleSurvey alone = new SampleSurvey(List.of(INPUT), RANGE);
        for (HostTensor sample : samples) {
            alone.see(0, sample, 1);
            alone.catchUp();
        }
        assertThat(alone.inputs().get(0).constant()).isEqualTo(COUNT / 10);
        assertThat(alone.inputs().get(0).firstConstant()).isEqualTo(7);
        assertThat(alone.distinct()).isEqualTo(COUNT - COUNT / 10 + 1);
        for (int turn = 0; turn < 5; turn++) {
            SampleSurvey many = new SampleSurvey(List.of(INPUT), RANGE);
            ExecutorService threads = Executors.newFixedThreadPool(4);
            List<Future<?>> ended = new ArrayList<>();
            for (HostTensor sample : samples) {
                many.see(0, sample, 1);
                ended.add(threads.submit(many::catchUp));
            }
            for (Future<?> each : ended) {
                each.get();
            }
            threads.shutdown();
            assertThat(threads.awaitTermination(2, TimeUnit.MINUTES)).isTrue();
            assertThat(many.inputs()).isEqualTo(alone.inputs());
            assertThat(many.hash()).isEqualTo(alone.hash());
        }
    }

    @Test
    void whatComesAfterAQuestionCountsToo() {
        SampleSurvey asked = new SampleSurvey(List.of(INPUT), RANGE);
        SampleSurvey unasked = new SampleSurvey(List.of(INPUT), RANGE);
        List<HostTensor> samples = samples().subList(0, 5);
        for (int i = 0; i < samples.size(); i++) {
            asked.see(0, samples.get(i), 1);
            unasked.see(0, samples.get(i), 1);
            assertThat(asked.distinct()).isEqualTo(i + 1);
        }
        assertThat(asked.hash()).isEqualTo(unasked.hash());
    }

    @Test
    void aSurveyWithoutHashesFindsTheSameOtherwise() {
        SampleSurvey hashed = new SampleSurvey(List.of(INPUT), RANGE);
        SampleSurvey plain = new SampleSurvey(List.of(INPUT), RANGE, false);
        for (HostTensor sample : samples()) {
            hashed.see(0, sample, 1);
            plain.see(0, sample, 1);
        }
        assertThat(plain.inputs()).isEqualTo(hashed.inputs());
        assertThat(plain.count()).isEqualTo(COUNT);
        assertThatThrownBy(plain::hash)
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("none were wanted");
        assertThatThrownBy(plain::distinct).isInstanceOf(IllegalStateException.class);
    }
}
