package dev.rebias.device.cpu.onednn;

import dev.rebias.device.Resources;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;

/**
 * Primitives by what they are described with, so that equal layers share one, and a correction after another has them
 * already: describing one takes longer than running it for a small layer. Safe for use by several threads.
 */
public final class Primitives implements AutoCloseable {
    /** So many that nobody uses are kept for whoever wants such a one next. */
    private static final int UNUSED = 1000;

    private final Map<Object, Entry> entries = new HashMap<>();
    /** The keys of those that nobody uses; the one first that has been there longest. */
    private final Set<Object> unused = new LinkedHashSet<>();

    private static final class Entry {
        private final Primitive primitive;
        private int users;

        Entry(Primitive primitive) {
            this.primitive = primitive;
        }
    }

    /**
     * A primitive, to be {@linkplain #give given back}.
     *
     * @param key equal where what is made would be the same; no two kinds of primitives have keys of the same class
     * @param make makes it where there is none yet; two threads may do that at the same time
     */
    public Primitive take(Object key, Supplier<Primitive> make) {
        return known(key).orElseGet(() -> add(key, make.get()));
    }

    private synchronized Optional<Primitive> known(Object key) {
        return Optional.ofNullable(entries.get(key)).map(entry -> use(key, entry));
    }

    private synchronized Primitive add(Object key, Primitive made) {
        Entry entry = entries.get(key);
        if (entry == null) {
            entry = new Entry(made);
            entries.put(key, entry);
        } else {
            made.close();
        }
        return use(key, entry);
    }

    private Primitive use(Object key, Entry entry) {
        entry.users++;
        unused.remove(key);
        return entry.primitive;
    }

    /** Gives a primitive back that was taken with that key; it may have been closed with all others before. */
    public synchronized void give(Object key) {
        Entry entry = entries.get(key);
        if (entry == null) {
            return;
        }
        entry.users--;
        if (entry.users == 0) {
            unused.add(key);
        }
        if (unused.size() > UNUSED) {
            Iterator<Object> oldest = unused.iterator();
            entries.remove(oldest.next()).primitive.close();
            oldest.remove();
        }
    }

    /** How many there are. */
    synchronized int size() {
        return entries.size();
    }

    /** How many of them somebody uses. */
    synchronized int used() {
        return entries.size() - unused.size();
    }

    @Override
    public synchronized void close() {
        Resources all = new Resources();
        entries.values().forEach(e -> all.add(e.primitive::close));
        entries.clear();
        unused.clear();
        all.close();
    }
}
