package dev.rebias.device.cuda;

import dev.rebias.device.Resources;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.bytedeco.cuda.cudart.CUfunc_st;
import org.bytedeco.cuda.cudart.CUmod_st;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.javacpp.BytePointer;

/** The kernels of one card, compiled and loaded when first asked for. */
final class Kernels implements AutoCloseable {
    private static final int MOST_COMPILERS = 8;

    /** What a driver says of a module that it cannot take. */
    private static final Set<Integer> BAD_IMAGES = Set.of(
            cudart.CUDA_ERROR_INVALID_IMAGE,
            cudart.CUDA_ERROR_NO_BINARY_FOR_GPU,
            cudart.CUDA_ERROR_INVALID_PTX,
            cudart.CUDA_ERROR_INVALID_SOURCE);

    private final Compiler compiler;
    private final Map<String, CUmod_st> modules = new HashMap<>();
    private final Map<String, CUfunc_st> functions = new HashMap<>();
    private final Resources loaded = new Resources();
    /** Cubins on their way, by the key of their module. */
    private final Map<String, Future<byte[]>> ahead = new HashMap<>();

    private final List<String> late = new ArrayList<>();
    private Optional<ExecutorService> compilers = Optional.empty();

    Kernels(Compiler compiler) {
        this.compiler = compiler;
    }

    /** A kernel of a file of {@code cuda-kernels/}. */
    CUfunc_st get(String file, String kernel) {
        return functions.computeIfAbsent(file + " " + kernel, k -> function(module(file, file), kernel));
    }

    /** The kernel {@code elementwise} of a source that was written for a group of operations. */
    CUfunc_st elementwise(String name, String source) {
        return of(name, source, "elementwise");
    }

    /** A kernel of any source. */
    CUfunc_st of(String name, String source, String kernel) {
        return functions.computeIfAbsent(kernel + " " + source, k -> function(module(name, source), kernel));
    }

    /** What was compiled, or looked up in the cache, only when it was to run. */
    List<String> late() {
        return List.copyOf(late);
    }

    /** Begins to compile a file of {@code cuda-kernels/} that will be needed. */
    void expect(String file) {
        expect(file, file, Compiler.source(file));
    }

    /** Begins to compile a source that will be needed, as far as can be told. */
    void expect(String name, String source) {
        expect(name, source, source);
    }

    private void expect(String name, String key, String source) {
        if (modules.containsKey(key) || ahead.containsKey(key)) {
            return;
        }
        if (compilers.isEmpty()) {
            compilers = Optional.of(Executors.newFixedThreadPool(compilers(), work -> {
                Thread thread = new Thread(work, "rebias-kernels");
                thread.setDaemon(true);
                return thread;
            }));
        }
        ahead.put(key, compilers.get().submit(() -> compiler.cubin(name, source)));
    }

    /** How many sources are compiled at once. */
    static int compilers() {
        return Math.min(MOST_COMPILERS, Runtime.getRuntime().availableProcessors());
    }

    /** A cubin: the one that is on its way, or else compiled now. */
    private byte[] cubin(String name, String key, String source) {
        Future<byte[]> coming = ahead.remove(key);
        if (coming == null) {
            late.add(name);
            return compiler.cubin(name, source);
        }
        try {
            return coming.get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new CudaException("interrupted while '" + name + "' was compiled");
        } catch (ExecutionException e) {
            if (e.getCause() instanceof RuntimeException cause) {
                throw cause;
            }
            throw new IllegalStateException(e.getCause());
        }
    }

    private CUmod_st module(String name, String key) {
        return modules.computeIfAbsent(key, k -> {
            String source = name.equals(key) ? Compiler.source(name) : key;
            CUmod_st module = new CUmod_st();
            int status = load(module, cubin(name, key, source));
            if (BAD_IMAGES.contains(status)) {
                // What the cache has is whole, but not for this card: of another driver, or damaged before it was
                // stored.
                status = load(module, compiler.compiledAnew(name, source));
            }
            Status.cuda(status, "cuModuleLoadData", name);
            loaded.add(() -> Status.cuda(cudart.cuModuleUnload(module), "cuModuleUnload", name));
            return module;
        });
    }

    private static int load(CUmod_st module, byte[] cubin) {
        try (BytePointer image = new BytePointer(cubin)) {
            return cudart.cuModuleLoadData(module, image);
        }
    }

    private static CUfunc_st function(CUmod_st module, String kernel) {
        CUfunc_st function = new CUfunc_st();
        Status.cuda(cudart.cuModuleGetFunction(function, module, kernel), "cuModuleGetFunction", kernel);
        return function;
    }

    Compiler compiler() {
        return compiler;
    }

    @Override
    public void close() {
        compilers.ifPresent(c -> {
            // What nobody has come to need is not begun any more; what is being compiled cannot be stopped.
            ahead.values().forEach(f -> f.cancel(false));
            c.shutdown();
            try {
                if (!c.awaitTermination(1, TimeUnit.MINUTES)) {
                    throw new CudaException("kernels are still being compiled after a minute");
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
        loaded.close();
    }
}
