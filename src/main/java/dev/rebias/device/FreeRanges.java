package dev.rebias.device;

import java.util.Map;
import java.util.OptionalLong;
import java.util.TreeMap;

/** The free ranges of a piece of memory. A range is given out from the shortest free one that is long enough; neighbours that are given back join. */
public final class FreeRanges {
    /** Offset to length. */
    private final TreeMap<Long, Long> free = new TreeMap<>();

    /** All of a piece of that many bytes. */
    public FreeRanges(long capacity) {
        if (capacity > 0) {
            free.put(0L, capacity);
        }
    }

    /** Takes a range and gives its offset; empty if no free range is so long. */
    public OptionalLong take(long size) {
        Map.Entry<Long, Long> best = null;
        for (Map.Entry<Long, Long> range : free.entrySet()) {
            if (range.getValue() >= size && (best == null || range.getValue() < best.getValue())) {
                best = range;
            }
        }
        if (best == null) {
            return OptionalLong.empty();
        }
        long offset = best.getKey();
        long length = best.getValue();
        free.remove(offset);
        if (length > size) {
            free.put(offset + size, length - size);
        }
        return OptionalLong.of(offset);
    }

    /** Gives a range back. */
    public void give(long start, long size) {
        long offset = start;
        long length = size;
        Map.Entry<Long, Long> before = free.lowerEntry(offset);
        if (before != null && before.getKey() + before.getValue() == offset) {
            free.remove(before.getKey());
            offset = before.getKey();
            length += before.getValue();
        }
        Long after = free.remove(offset + length);
        free.put(offset, after == null ? length : length + after);
    }

    /** The length of the longest free range. */
    public long longest() {
        return free.values().stream().mapToLong(Long::longValue).max().orElse(0);
    }
}
