package dev.rebias.device.cuda;

import dev.rebias.device.Resources;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.bytedeco.cuda.cudart.CUfunc_st;
import org.bytedeco.cuda.cudart.CUmod_st;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.javacpp.BytePointer;

/** The kernels of one card, compiled and loaded when first asked for. */
final class Kernels implements AutoCloseable {
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

    private CUmod_st module(String name, String key) {
        return modules.computeIfAbsent(key, k -> {
            String source = name.equals(key) ? Compiler.source(name) : key;
            CUmod_st module = new CUmod_st();
            int status = load(module, compiler.cubin(name, source));
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
        loaded.close();
    }
}
