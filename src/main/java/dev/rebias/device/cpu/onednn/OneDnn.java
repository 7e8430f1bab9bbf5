package dev.rebias.device.cpu.onednn;

import static org.bytedeco.dnnl.global.dnnl.dnnl_cpu;
import static org.bytedeco.dnnl.global.dnnl.dnnl_cpu_isa_avx2_vnni;
import static org.bytedeco.dnnl.global.dnnl.dnnl_cpu_isa_avx512_core_vnni;
import static org.bytedeco.dnnl.global.dnnl.dnnl_engine_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_get_effective_cpu_isa;
import static org.bytedeco.dnnl.global.dnnl.dnnl_invalid_arguments;
import static org.bytedeco.dnnl.global.dnnl.dnnl_out_of_memory;
import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_desc_query;
import static org.bytedeco.dnnl.global.dnnl.dnnl_query_impl_info_str;
import static org.bytedeco.dnnl.global.dnnl.dnnl_success;
import static org.bytedeco.dnnl.global.dnnl.dnnl_unimplemented;

import com.sun.jna.NativeLibrary;
import dev.rebias.error.Failure;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.runtime.NativeLibraries;
import java.util.Map;
import java.util.stream.Stream;
import org.bytedeco.dnnl.dnnl_engine;
import org.bytedeco.dnnl.dnnl_primitive_desc;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.PointerPointer;

/** oneDNN's CPU engine, one for the process, loaded on first use. */
public final class OneDnn {
    /** Set by whoever has started the process with OMP_NUM_THREADS=1; saves loading JNA. */
    private static final boolean SINGLE = Boolean.getBoolean("rebias.openmp.single");

    private OneDnn() {}

    private static final class Holder {
        static final dnnl_engine ENGINE = new dnnl_engine();

        static {
            check(dnnl_engine_create(ENGINE, dnnl_cpu, 0), "dnnl_engine_create");
        }
    }

    private static final class OpenMp {
        /** Found through oneDNN's library, so that it is the OpenMP which that one uses. */
        static final NativeLibrary LIBRARY = NativeLibrary.getInstance(path());

        private static String path() {
            Loader.load(org.bytedeco.dnnl.global.dnnl.class);
            return Loader.getLoadedLibraries().entrySet().stream()
                    .filter(e -> e.getKey().startsWith("dnnl"))
                    .map(Map.Entry::getValue)
                    .findFirst()
                    .orElseThrow(() ->
                            new RebiasException("oneDNN's library is loaded but JavaCPP does not say from where"));
        }
    }

    /**
     * The engine.
     *
     * @throws UnsupportedException if oneDNN cannot be loaded here
     */
    public static dnnl_engine engine() {
        NativeLibraries.prepare();
        try {
            return Holder.ENGINE;
        } catch (LinkageError e) {
            throw new UnsupportedException(
                    "oneDNN cannot be loaded on this machine (" + Failure.deepest(e)
                            + "): the CPU device needs Linux on x86-64, and a folder from which libraries may be "
                            + "loaded (REBIAS_JAVACPP_CACHE)",
                    e);
        }
    }

    /**
     * Tells OpenMP that the calling thread works alone: samples are shared out to threads, not the parts of one
     * operation.
     */
    static void workAlone() {
        if (!SINGLE) {
            NativeLibraries.prepare();
            OpenMp.LIBRARY.getFunction("omp_set_num_threads").invokeVoid(new Object[] {1});
        }
    }

    /** Whether the processor has instructions that multiply 8-bit integers and add up the products exactly (VNNI). */
    public static boolean multipliesBytes() {
        engine();
        int isa = dnnl_get_effective_cpu_isa();
        return Stream.of(dnnl_cpu_isa_avx2_vnni, dnnl_cpu_isa_avx512_core_vnni).anyMatch(with -> (isa & with) == with);
    }

    /** oneDNN's name of the code that a description has settled on. */
    public static String implementation(dnnl_primitive_desc description) {
        try (PointerPointer<BytePointer> name = new PointerPointer<>(1)) {
            check(
                    dnnl_primitive_desc_query(description, dnnl_query_impl_info_str, 0, name),
                    "dnnl_primitive_desc_query");
            return name.get(BytePointer.class).getString();
        }
    }

    /**
     * Turns a status into an exception.
     *
     * @throws UnsupportedException if oneDNN has no such operation, or was given what it does not accept
     */
    public static void check(int status, String call) {
        if (status == dnnl_success) {
            return;
        }
        if (status == dnnl_unimplemented || status == dnnl_invalid_arguments) {
            throw new UnsupportedException("oneDNN cannot do this (" + call + ": "
                    + (status == dnnl_unimplemented ? "unimplemented" : "invalid arguments") + ")");
        }
        throw new RebiasException("oneDNN failed: " + call + " gave status " + status
                + (status == dnnl_out_of_memory ? ", out of memory" : ""));
    }
}
