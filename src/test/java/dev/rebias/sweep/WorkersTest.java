package dev.rebias.sweep;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicReference;
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

    /** Who has no batch left does it, whatever the others are at. */
    @ParameterizedTest
    @ValueSource(ints = {2, 3})
    void whatIsDoneMeanwhileWaitsForNoBatch(int threads) {
        try (Workers workers = new Workers(threads)) {
            for (int barrier = 0; barrier < 200; barrier++) {
                CountDownLatch meanwhile = new CountDownLatch(1);
                AtomicInteger times = new AtomicInteger();
                AtomicBoolean waited = new AtomicBoolean(true);
                workers.forEach(
                        threads - 1,
                        b -> {
                            if (b == 0) {
                                waited.set(arrives(meanwhile));
                            }
                        },
                        () -> {
                            times.incrementAndGet();
                            meanwhile.countDown();
                        });
                assertThat(waited).isTrue();
                assertThat(times).hasValue(1);
            }
        }
    }

    private static boolean arrives(CountDownLatch latch) {
        try {
            return latch.await(10, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    /** The batch that does not fail ends only when the thread of the one that does has nothing left to do. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void nothingIsDoneMeanwhileOnceABatchHasFailed(int threads) {
        try (Workers workers = new Workers(threads)) {
            AtomicInteger times = new AtomicInteger();
            AtomicReference<Thread> failing = new AtomicReference<>();
            AtomicBoolean waited = new AtomicBoolean(true);
            assertThatThrownBy(() -> workers.forEach(
                            2,
                            b -> {
                                if (b == 0) {
                                    failing.set(Thread.currentThread());
                                    throw new IllegalArgumentException("batch");
                                }
                                waited.set(sleeps(failing));
                            },
                            times::incrementAndGet))
                    .hasMessage("batch");
            assertThat(waited).isTrue();
            assertThat(times).hasValue(0);
        }
    }

    /** Whether that thread goes to sleep within ten seconds, as it does when it waits for the others. */
    private static boolean sleeps(AtomicReference<Thread> thread) {
        long start = System.nanoTime();
        while (System.nanoTime() - start < 10_000_000_000L) {
            Thread waiting = thread.get();
            if (waiting != null && waiting.getState() == Thread.State.WAITING) {
                return true;
            }
            Thread.onSpinWait();
        }
        return false;
    }
}
