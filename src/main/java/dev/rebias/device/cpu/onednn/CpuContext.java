package dev.rebias.device.cpu.onednn;

import dev.rebias.device.Resources;
import dev.rebias.device.cpu.memory.HostMemory;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * What everything on one CPU device shares: its memory, and for every thread that works on it a {@link ThreadScratch}.
 */
public final class CpuContext implements AutoCloseable {
    private final HostMemory memory = new HostMemory();
    private final Map<Thread, ThreadScratch> scratches = new ConcurrentHashMap<>();
    private final Layouts layouts = new Layouts(this);
    private final Products products = new Products(this);
    private final Primitives primitives = new Primitives();

    public HostMemory memory() {
        return memory;
    }

    public Layouts layouts() {
        return layouts;
    }

    public Products products() {
        return products;
    }

    public Primitives primitives() {
        return primitives;
    }

    /** The calling thread's own; that of a thread which has ended goes to the next. */
    public ThreadScratch scratch() {
        ThreadScratch scratch = scratches.get(Thread.currentThread());
        if (scratch == null) {
            scratch = idle();
            scratches.put(Thread.currentThread(), scratch);
        }
        return scratch;
    }

    private ThreadScratch idle() {
        for (Thread thread : List.copyOf(scratches.keySet())) {
            ThreadScratch scratch = thread.isAlive() ? null : scratches.remove(thread);
            if (scratch != null) {
                scratch.adopted();
                return scratch;
            }
        }
        return new ThreadScratch();
    }

    @Override
    public void close() {
        Resources all = new Resources();
        all.add(memory::close);
        scratches.values().forEach(l -> all.add(l::close));
        all.add(layouts::close);
        all.add(products::close);
        all.add(primitives::close);
        all.close();
        scratches.clear();
    }
}
