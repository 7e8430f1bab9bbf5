package dev.rebias.device.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

/** What a thread needs to work is handed on when it ends: a device that is kept open does not collect it. */
final class CpuContextTest {
    private static Lane laneOfAnotherThread(CpuContext context) throws InterruptedException {
        AtomicReference<Lane> lane = new AtomicReference<>();
        Thread thread = new Thread(() -> {
            context.lane().stream();
            lane.set(context.lane());
        });
        thread.start();
        thread.join();
        return lane.get();
    }

    @Test
    void anEndedThreadsLaneGoesToTheNext() throws InterruptedException {
        try (CpuContext context = new CpuContext()) {
            Lane own = context.lane();
            Lane first = laneOfAnotherThread(context);
            assertThat(first).isNotSameAs(own);
            assertThat(laneOfAnotherThread(context)).isSameAs(first);
            assertThat(context.lane()).isSameAs(own);
        }
    }

    @Test
    void aLivingThreadsLaneIsItsOwn() throws InterruptedException {
        try (CpuContext context = new CpuContext()) {
            AtomicReference<Lane> living = new AtomicReference<>();
            CountDownLatch taken = new CountDownLatch(1);
            CountDownLatch end = new CountDownLatch(1);
            Thread thread = new Thread(() -> {
                living.set(context.lane());
                taken.countDown();
                try {
                    end.await();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
            });
            thread.start();
            taken.await();
            assertThat(laneOfAnotherThread(context)).isNotSameAs(living.get());
            end.countDown();
            thread.join();
        }
    }
}
