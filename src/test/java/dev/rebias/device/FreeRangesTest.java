package dev.rebias.device;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.OptionalLong;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Ranges never overlap, and what can be given is: held against a map of single bytes. */
final class FreeRangesTest {
    private static final int CAPACITY = 500;

    private record Range(int offset, int length) {}

    @Test
    void itGivesTheShortestRangeThatIsLongEnough() {
        Random random = new Random(3);
        FreeRanges ranges = new FreeRanges(CAPACITY);
        BitSet used = new BitSet(CAPACITY);
        List<Range> taken = new ArrayList<>();
        for (int turn = 0; turn < 20_000; turn++) {
            if (random.nextInt(5) < 3) {
                int size = 1 + random.nextInt(40);
                int expected = shortest(used, size);
                OptionalLong offset = ranges.take(size);
                assertThat(offset.isPresent()).isEqualTo(expected >= 0);
                if (expected >= 0) {
                    assertThat(offset.getAsLong()).isEqualTo(expected);
                    used.set(expected, expected + size);
                    taken.add(new Range(expected, size));
                }
            } else if (!taken.isEmpty()) {
                Range range = taken.remove(random.nextInt(taken.size()));
                used.clear(range.offset(), range.offset() + range.length());
                ranges.give(range.offset(), range.length());
            }
            assertThat(ranges.longest()).isEqualTo(longest(used));
        }
    }

    private static int shortest(BitSet used, int size) {
        int best = -1;
        int length = Integer.MAX_VALUE;
        for (int from = used.nextClearBit(0); from < CAPACITY; ) {
            int to = end(used, from);
            if (to - from >= size && to - from < length) {
                best = from;
                length = to - from;
            }
            from = used.nextClearBit(to);
        }
        return best;
    }

    private static int longest(BitSet used) {
        int longest = 0;
        for (int from = used.nextClearBit(0); from < CAPACITY; from = used.nextClearBit(end(used, from))) {
            longest = Math.max(longest, end(used, from) - from);
        }
        return longest;
    }

    private static int end(BitSet used, int from) {
        int to = used.nextSetBit(from);
        return to < 0 ? CAPACITY : to;
    }
}
