package dev.rebias.device.cpu.memory;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** Memory that was given back is given out again before the system is asked for more. */
final class HostMemoryTest {
    /** What the memory is taken from the system in, nearly. */
    private static final long ALMOST_A_PIECE = (256L << 20) - (1 << 20);

    @Test
    void theLastUserGivesABlockBack() {
        try (HostMemory memory = new HostMemory()) {
            HostMemory.Block block = memory.allocate(1000);
            long address = block.address();
            HostMemory.Block view = block.share();
            block.release();
            assertThat(memory.used()).isEqualTo(1024);
            assertThat(memory.allocate(1000).address()).isNotEqualTo(address);
            view.release();
            assertThat(memory.used()).isEqualTo(1024);
            assertThat(memory.allocate(1000).address()).isEqualTo(address);
            assertThat(memory.peak()).isEqualTo(2048);
        }
    }

    @Test
    void neighboursThatWereGivenBackJoin() {
        try (HostMemory memory = new HostMemory()) {
            HostMemory.Block most = memory.allocate(ALMOST_A_PIECE);
            HostMemory.Block rest = memory.allocate(1 << 20);
            long first = most.address();
            most.release();
            rest.release();
            assertThat(memory.allocate(ALMOST_A_PIECE + (1 << 19)).address()).isEqualTo(first);
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
            assertThat(last - first).isLessThan(1 << 18);
        }
    }
}
