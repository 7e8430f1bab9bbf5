package dev.rebias.device.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** Who gets memory that was given back: the same thread at once where it asks for as much, else everyone. */
final class HostMemoryTest {
    /** What the memory is taken from the system in, nearly. */
    private static final long ALMOST_A_PIECE = (256L << 20) - (1 << 20);

    private static long addressForAnotherThread(HostMemory memory, long size) throws InterruptedException {
        AtomicLong address = new AtomicLong();
        Thread thread = new Thread(() -> address.set(memory.allocate(size).address()));
        thread.start();
        thread.join();
        return address.get();
    }

    @Test
    void whatAThreadGaveBackIsItsNextOfTheSameSize() {
        try (HostMemory memory = new HostMemory()) {
            HostMemory.Block first = memory.allocate(1000);
            HostMemory.Block second = memory.allocate(1000);
            first.release();
            second.release();
            assertThat(memory.used()).isZero();
            assertThat(memory.allocate(1000).address()).isEqualTo(second.address());
            assertThat(memory.allocate(1000).address()).isEqualTo(first.address());
            assertThat(memory.used()).isEqualTo(2048);
        }
    }

    @Test
    void anotherThreadsIsLeftToIt() throws InterruptedException {
        try (HostMemory memory = new HostMemory()) {
            HostMemory.Block block = memory.allocate(1000);
            block.release();
            assertThat(addressForAnotherThread(memory, 1000)).isNotEqualTo(block.address());
            assertThat(memory.allocate(1000).address()).isEqualTo(block.address());
        }
    }

    @Test
    void nothingIsKeptFromOneWhoNeedsIt() {
        try (HostMemory memory = new HostMemory()) {
            HostMemory.Block most = memory.allocate(ALMOST_A_PIECE);
            HostMemory.Block rest = memory.allocate(1 << 20);
            rest.release();
            HostMemory.Block half = memory.allocate(1 << 19);
            assertThat(half.address()).isBetween(rest.address(), rest.address() + (1 << 20));
            most.release();
            assertThat(memory.allocate(ALMOST_A_PIECE).address()).isEqualTo(most.address());
        }
    }

    @Test
    void manySizesDoNotAddUp() {
        try (HostMemory memory = new HostMemory()) {
            long first = memory.allocate(1 << 16).address();
            // One of each of so many sizes, each given back at once, has room in little more than the largest.
            long last = first;
            for (int size = 1 << 16; size < 1 << 18; size += 1 << 8) {
                HostMemory.Block block = memory.allocate(size);
                last = Math.max(last, block.address());
                block.release();
            }
            assertThat(last - first).isLessThan(4 << 20);
        }
    }
}
