package dev.rebias.device.cpu;

import dev.rebias.device.Resources;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** What everything on one CPU device shares: its memory, and for every thread that works on it a {@link Lane}. */
final class CpuContext implements AutoCloseable {
    private final HostMemory memory = new HostMemory();
    private final Map<Thread, Lane> lanes = new ConcurrentHashMap<>();
    private final Layouts layouts = new Layouts(this);
    private final Products products = new Products(this);
    private final Primitives primitives = new Primitives();

    HostMemory memory() {
        return memory;
    }

    Layouts layouts() {
        return layouts;
    }

    Products products() {
        return products;
    }

    Primitives primitives() {
        return primitives;
    }

    /** The calling thread's own; that of a thread which has ended goes to the next. */
    Lane lane() {
        Lane lane = lanes.get(Thread.currentThread());
        if (lane == null) {
            lane = idle();
            lanes.put(Thread.currentThread(), lane);
        }
        return lane;
    }

    private Lane idle() {
        for (Thread thread : List.copyOf(lanes.keySet())) {
            Lane lane = thread.isAlive() ? null : lanes.remove(thread);
            if (lane != null) {
                lane.adopted();
                return lane;
            }
        }
        return new Lane();
    }

    @Override
    public void close() {
        Resources all = new Resources();
        all.add(memory::close);
        lanes.values().forEach(l -> all.add(l::close));
        all.add(layouts::close);
        all.add(products::close);
        all.add(primitives::close);
        all.close();
        lanes.clear();
    }
}
