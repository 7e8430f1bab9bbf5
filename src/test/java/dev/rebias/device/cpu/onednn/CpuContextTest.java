package dev.rebias.device.cpu.onednn;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

/** What a thread needs to work is handed on when it ends: a device that is kept open does not collect it. */
final class CpuContextTest {
    private static ThreadScratch scratchOfAnotherThread(CpuContext context) throws InterruptedException {
        AtomicReference<ThreadScratch> scratch = new AtomicReference<>();
        Thread thread = new Thread(() -> {
            context.scratch().stream();
            scratch.set(context.scratch());
        });
        thread.start();
        thread.join();
        return scratch.get();
    }

    @Test
    void anEndedThreadsScratchGoesToTheNext() throws InterruptedException {
        try (CpuContext context = new CpuContext()) {
            ThreadScratch own = context.scratch();
            ThreadScratch first = scratchOfAnotherThread(context);
            assertThat(first).isNotSameAs(own);
            assertThat(scratchOfAnotherThread(context)).isSameAs(first);
            assertThat(context.scratch()).isSameAs(own);
        }
    }

    @Test
    void aLivingThreadsScratchIsItsOwn() throws InterruptedException {
        try (CpuContext context = new CpuContext()) {
            AtomicReference<ThreadScratch> living = new AtomicReference<>();
            CountDownLatch taken = new CountDownLatch(1);
            CountDownLatch end = new CountDownLatch(1);
            Thread thread = new Thread(() -> {
                living.set(context.scratch());
                taken.countDown();
                try {
                    end.await();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
            });
            thread.start();
            taken.await();
            assertThat(scratchOfAnotherThread(context)).isNotSameAs(living.get());
            end.countDown();
            thread.join();
        }
    }
}
