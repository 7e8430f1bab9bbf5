package dev.rebias.device.cpu.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_ATTR_SCALES;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_ATTR_ZERO_POINTS;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SCRATCHPAD;
import static org.bytedeco.dnnl.global.dnnl.dnnl_memory_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_memory_desc_get_size;
import static org.bytedeco.dnnl.global.dnnl.dnnl_memory_destroy;
import static org.bytedeco.dnnl.global.dnnl.dnnl_memory_set_data_handle;
import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_desc_destroy;
import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_desc_query_md;
import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_destroy;
import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_execute;
import static org.bytedeco.dnnl.global.dnnl.dnnl_query_exec_arg_md;
import static org.bytedeco.dnnl.global.dnnl.dnnl_stream_wait;

import dev.rebias.device.Resources;
import dev.rebias.device.cpu.memory.Address;
import dev.rebias.tensor.ElementType;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.dnnl.dnnl_exec_arg_t;
import org.bytedeco.dnnl.dnnl_memory;
import org.bytedeco.dnnl.dnnl_memory_desc;
import org.bytedeco.dnnl.dnnl_primitive;
import org.bytedeco.dnnl.dnnl_primitive_desc;

/** A oneDNN primitive, and for every lane its arguments. Several threads may execute it at once. */
public final class Primitive implements AutoCloseable {
    private final dnnl_primitive_desc description;
    private final dnnl_primitive primitive = new dnnl_primitive();
    private final int[] arguments;
    private final long channels;
    private final long scratchBytes;
    private final Map<ThreadScratch, Arguments> perThread = new ConcurrentHashMap<>();

    /** One lane's memory objects for all arguments, the scratchpad last. */
    private final class Arguments {
        private final dnnl_memory[] memories = new dnnl_memory[arguments.length + 1];
        private final long[] addresses = new long[arguments.length + 1];
        private final dnnl_exec_arg_t list = new dnnl_exec_arg_t(arguments.length + 1);
        private final Address address = new Address();

        Arguments() {
            try (PrimitiveSpec spec = new PrimitiveSpec()) {
                for (int i = 0; i < memories.length; i++) {
                    int id = i < arguments.length ? arguments[i] : DNNL_ARG_SCRATCHPAD;
                    memories[i] = new dnnl_memory();
                    OneDnn.check(
                            dnnl_memory_create(memories[i], layout(spec, id), OneDnn.engine(), address.at(0)),
                            "dnnl_memory_create");
                    list.position(i).arg(id).memory(memories[i]);
                }
            }
            list.position(0);
        }

        /** How an argument lies; oneDNN knows no layout of zero points and scales, they are given as such. */
        private dnnl_memory_desc layout(PrimitiveSpec spec, int id) {
            if ((id & DNNL_ARG_ATTR_ZERO_POINTS) != 0) {
                return spec.plain(ElementType.INT32, 1);
            }
            return (id & DNNL_ARG_ATTR_SCALES) != 0 ? spec.plain(ElementType.FLOAT, channels) : memory(id);
        }

        void set(int i, long newAddress) {
            if (addresses[i] != newAddress) {
                OneDnn.check(
                        dnnl_memory_set_data_handle(memories[i], address.at(newAddress)),
                        "dnnl_memory_set_data_handle");
                addresses[i] = newAddress;
            }
        }

        void close() {
            Resources all = new Resources();
            for (dnnl_memory m : memories) {
                all.add(() -> OneDnn.check(dnnl_memory_destroy(m), "dnnl_memory_destroy"));
            }
            all.close();
            list.close();
        }
    }

    /**
     * Makes a primitive.
     *
     * @param description made with a {@link PrimitiveSpec}'s attributes; becomes this object's
     * @param arguments oneDNN's numbers of the arguments, in the order in which {@link #execute} takes them
     */
    public Primitive(dnnl_primitive_desc description, int... arguments) {
        this(description, 0, arguments);
    }

    /**
     * Makes a primitive with scales among its arguments.
     *
     * @param channels how many scales there are
     */
    public Primitive(dnnl_primitive_desc description, long channels, int[] arguments) {
        this.description = description;
        this.channels = channels;
        this.arguments = arguments.clone();
        try {
            OneDnn.check(dnnl_primitive_create(primitive, description), "dnnl_primitive_create");
        } catch (RuntimeException | Error e) {
            OneDnn.check(dnnl_primitive_desc_destroy(description), "dnnl_primitive_desc_destroy");
            throw e;
        }
        this.scratchBytes = dnnl_memory_desc_get_size(memory(DNNL_ARG_SCRATCHPAD));
    }

    /** Whether oneDNN has code of its own for it on this processor, not only its reference in plain C++. */
    public boolean isFast() {
        return !OneDnn.implementation(description).startsWith("ref");
    }

    /** How the primitive lays out an argument; lives as long as the primitive. */
    public dnnl_memory_desc memory(int argument) {
        return dnnl_primitive_desc_query_md(description, dnnl_query_exec_arg_md, argument);
    }

    /**
     * Executes the primitive, and returns when it is done.
     *
     * @param addresses where the arguments lie, in the order given when it was made
     */
    public void execute(ThreadScratch scratch, long... addresses) {
        Arguments own = perThread.computeIfAbsent(scratch, l -> new Arguments());
        for (int i = 0; i < addresses.length; i++) {
            own.set(i, addresses[i]);
        }
        own.set(arguments.length, scratch.scratch(scratchBytes));
        OneDnn.check(
                dnnl_primitive_execute(primitive, scratch.stream(), arguments.length + 1, own.list),
                "dnnl_primitive_execute");
        OneDnn.check(dnnl_stream_wait(scratch.stream()), "dnnl_stream_wait");
    }

    @Override
    public void close() {
        Resources all = new Resources();
        all.add(() -> OneDnn.check(dnnl_primitive_desc_destroy(description), "dnnl_primitive_desc_destroy"));
        all.add(() -> OneDnn.check(dnnl_primitive_destroy(primitive), "dnnl_primitive_destroy"));
        perThread.values().forEach(a -> all.add(a::close));
        perThread.clear();
        all.close();
    }
}
