package dev.rebias.device;

import java.util.Comparator;
import java.util.Map;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * The free ranges of a piece of memory. A range is given out from the shortest free one that is long enough, of several
 * the first; neighbours that are given back join. Both take a time that grows with the logarithm of the number of free
 * ranges.
 */
public final class FreeRanges {
    private record Range(long offset, long length) {}

    private final TreeMap<Long, Range> byOffset = new TreeMap<>();
    private final TreeSet<Range> byLength =
            new TreeSet<>(Comparator.comparingLong(Range::length).thenComparingLong(Range::offset));

    /** All of a piece of that many bytes. */
    public FreeRanges(long capacity) {
        if (capacity > 0) {
            add(new Range(0, capacity));
        }
    }

    private void add(Range range) {
        byOffset.put(range.offset(), range);
        byLength.add(range);
    }

    private void remove(Range range) {
        byOffset.remove(range.offset());
        byLength.remove(range);
    }

    /** Takes a range and gives its offset; empty if no free range is so long. */
    public OptionalLong take(long size) {
        Range best = byLength.ceiling(new Range(0, size));
        if (best == null) {
            return OptionalLong.empty();
        }
        remove(best);
        if (best.length() > size) {
            add(new Range(best.offset() + size, best.length() - size));
        }
        return OptionalLong.of(best.offset());
    }

    /** Gives a range back. */
    public void give(long start, long size) {
        long offset = start;
        long length = size;
        Map.Entry<Long, Range> before = byOffset.lowerEntry(start);
        if (before != null && before.getKey() + before.getValue().length() == start) {
            remove(before.getValue());
            offset = before.getKey();
            length += before.getValue().length();
        }
        Range after = byOffset.get(start + size);
        if (after != null) {
            remove(after);
            length += after.length();
        }
        add(new Range(offset, length));
    }

    /** The length of the longest free range. */
    public long longest() {
        return byLength.isEmpty() ? 0 : byLength.last().length();
    }
}
