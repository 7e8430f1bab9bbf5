package dev.rebias.device.cpu;

import dev.rebias.device.Resources;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** What everything on one CPU device shares: its memory, and for every thread that works on it a {@link Lane}. */
final class CpuContext implements AutoCloseable {
    private final HostMemory memory = new HostMemory();
    private final Map<Thread, Lane> lanes = new ConcurrentHashMap<>();
    private final Layouts layouts = new Layouts(this);

    HostMemory memory() {
        return memory;
    }

    Layouts layouts() {
        return layouts;
    }

    /** The calling thread's own. */
    Lane lane() {
        return lanes.computeIfAbsent(Thread.currentThread(), t -> new Lane());
    }

    @Override
    public void close() {
        Resources all = new Resources();
        all.add(memory::close);
        lanes.values().forEach(l -> all.add(l::close));
        all.add(layouts::close);
        all.close();
        lanes.clear();
    }
}
