package dev.rebias.sweep;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Every batch is worked on once, whatever the number of threads and however long they had nothing to do. */
final class WorkersTest {
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 5})
    void everyBatchIsWorkedOnOnceBetweenTwoBarriers(int threads) throws InterruptedException {
        try (Workers workers = new Workers(threads)) {
            for (int barrier = 0; barrier < 2000; barrier++) {
                int count = barrier % 7;
                AtomicIntegerArray done = new AtomicIntegerArray(count + 1);
                workers.forEach(count, done::incrementAndGet);
                for (int b = 0; b < count; b++) {
                    assertThat(done.get(b)).isEqualTo(1);
                }
                if (barrier % 500 == 0) {
                    Thread.sleep(5); // long enough for all to go to sleep
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3})
    void aFailureEndsTheWorkAndTheNextGoesOn(int threads) {
        try (Workers workers = new Workers(threads)) {
            for (int barrier = 0; barrier < 100; barrier++) {
                assertThatThrownBy(() -> workers.forEach(50, b -> {
                            if (b == 20) {
                                throw new IllegalArgumentException("batch 20");
                            }
                        }))
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessage("batch 20");
                AtomicInteger done = new AtomicInteger();
                workers.forEach(50, b -> done.incrementAndGet());
                assertThat(done).hasValue(50);
            }
        }
    }

    @SuppressWarnings("unchecked")
    private static <E extends Throwable> void throwUndeclared(Throwable e) throws E {
        throw (E) e;
    }

    /** A listener in another language need not declare what it throws. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void whatIsNotDeclaredIsPassedOnToo(int threads) {
        try (Workers workers = new Workers(threads)) {
            for (int failing : new int[] {0, 1, 30}) {
                assertThatThrownBy(() -> workers.forEach(40, b -> {
                            if (b == failing) {
                                WorkersTest.<RuntimeException>throwUndeclared(new java.io.IOException("no listener"));
                            }
                        }))
                        .isInstanceOf(IllegalStateException.class)
                        .hasRootCauseMessage("no listener");
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void anInterruptionWaitsForTheWork(int threads) {
        try (Workers workers = new Workers(threads)) {
            AtomicInteger done = new AtomicInteger();
            Thread.currentThread().interrupt();
            workers.forEach(200, b -> done.incrementAndGet());
            assertThat(Thread.interrupted()).isTrue();
            assertThat(done).hasValue(200);
        }
    }
}
