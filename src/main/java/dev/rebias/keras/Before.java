package dev.rebias.keras;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.files.Sha256;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;

/**
 * What it takes to make a file's contents from those that a change made of it. A change writes over bytes and appends
 * others, so these are the bytes that were written over.
 *
 * @param length of the contents before, in bytes
 * @param sha256 of the contents before, in hexadecimal
 * @param ranges what was written over, by rising position
 */
record Before(int length, String sha256, List<Range> ranges) {
    private static final ObjectMapper MAPPER =
            new ObjectMapper().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

    /** Two ranges with so few bytes between them cost more text than one. */
    private static final int NEAR = 24;

    /**
     * Bytes as they were.
     *
     * @param at position of the first
     * @param bytes in JSON as Base64
     */
    @SuppressWarnings("ArrayRecordComponent") // compared by nobody
    record Range(int at, byte[] bytes) {}

    /** As JSON has it: an array of entries. */
    private record Entries(Map<String, Before> entries) {}

    /** Whether it has all its parts; text that anybody can have written need not. */
    private boolean isWhole() {
        return sha256 != null && ranges != null && ranges.stream().allMatch(r -> r != null && r.bytes() != null);
    }

    /**
     * Makes a change that tells how to undo it. What it tells changes bytes too, so the change is made until what it
     * tells holds all that it changes.
     *
     * @param before contents
     * @param change makes the new contents; is given what these are to tell, each time more
     * @param others further entries of the same file, and what undoes their changes
     */
    static byte[] telling(String entry, byte[] before, Map<String, Before> others, Function<String, byte[]> change) {
        String hash = Sha256.of(before);
        BitSet changed = new BitSet();
        while (true) {
            Map<String, Before> all = new TreeMap<>(others);
            all.put(entry, of(before, hash, changed));
            byte[] after = change.apply(text(all));
            BitSet now = difference(before, after);
            now.or(changed);
            if (now.equals(changed)) {
                return after;
            }
            changed = now;
        }
    }

    /** What undoes a change. */
    static Before of(byte[] before, byte[] after) {
        return of(before, Sha256.of(before), difference(before, after));
    }

    private static BitSet difference(byte[] before, byte[] after) {
        BitSet changed = new BitSet();
        int common = Math.min(before.length, after.length);
        for (int at = 0; at < common; at++) {
            int same = Arrays.mismatch(before, at, common, after, at, common);
            if (same < 0) {
                break;
            }
            at += same;
            changed.set(at);
        }
        changed.set(common, before.length);
        return changed;
    }

    private static Before of(byte[] before, String hash, BitSet changed) {
        List<Range> ranges = new ArrayList<>();
        for (int from = changed.nextSetBit(0); from >= 0; ) {
            int to = changed.nextClearBit(from);
            int next = changed.nextSetBit(to);
            while (next >= 0 && next - to <= NEAR) {
                to = changed.nextClearBit(next);
                next = changed.nextSetBit(to);
            }
            ranges.add(new Range(from, Arrays.copyOfRange(before, from, to)));
            from = next;
        }
        return new Before(before.length, hash, ranges);
    }

    /** For a model's metadata: what undoes the changes of a file's entries, by their names. */
    private static String text(Map<String, Before> entries) {
        try {
            return MAPPER.writeValueAsString(new Entries(entries));
        } catch (JsonProcessingException e) {
            throw new RebiasException(
                    "what undoes the correction cannot be written as JSON: " + e.getOriginalMessage(), e);
        }
    }

    /**
     * Reads what {@link #telling} wrote.
     *
     * @param where what messages call the file, quotes included
     * @throws UnsupportedException if it is damaged
     */
    static Map<String, Before> parse(String where, String text) {
        Entries read;
        try {
            read = MAPPER.readValue(text, Entries.class);
        } catch (JsonProcessingException e) {
            throw damaged(where, e.getOriginalMessage(), e);
        }
        boolean whole = read != null
                && read.entries() != null
                && read.entries().values().stream().allMatch(b -> b != null && b.isWhole());
        if (!whole) {
            throw damaged(where, "it lacks a part", null);
        }
        return read.entries();
    }

    private static UnsupportedException damaged(String where, String what, Exception cause) {
        String sentence = "what " + where + " holds of its biases before the correction is damaged (" + what
                + "): take the original file";
        return cause == null ? new UnsupportedException(sentence) : new UnsupportedException(sentence, cause);
    }

    /**
     * The contents before.
     *
     * @param where what messages call the file, quotes included
     * @throws UnsupportedException if these contents are not those that the change made
     */
    byte[] restored(String where, byte[] after) {
        long kept = Math.min(length, after.length);
        long given = ranges.stream().mapToLong(r -> r.bytes().length).sum();
        if (length < 0 || kept + given < length) {
            throw damaged(where, "it tells of " + given + " bytes, too few for a file of " + length, null);
        }
        byte[] before = Arrays.copyOf(after, length);
        for (Range range : ranges) {
            if (range.at() < 0 || (long) range.at() + range.bytes().length > length) {
                throw damaged(where, "it tells of bytes beyond the end", null);
            }
            System.arraycopy(range.bytes(), 0, before, range.at(), range.bytes().length);
        }
        if (!Sha256.of(before).equals(sha256)) {
            throw new UnsupportedException(where
                    + " was changed since it was corrected, so its correction cannot be undone: take the "
                    + "original file");
        }
        return before;
    }
}
