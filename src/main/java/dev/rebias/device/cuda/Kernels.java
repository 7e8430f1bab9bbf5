package dev.rebias.device.cuda;

import dev.rebias.device.Resources;
import java.util.HashMap;
import java.util.Map;
import org.bytedeco.cuda.cudart.CUfunc_st;
import org.bytedeco.cuda.cudart.CUmod_st;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.javacpp.BytePointer;

/** The kernels of one card, compiled and loaded when first asked for. */
final class Kernels implements AutoCloseable {
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
            try (BytePointer image = new BytePointer(compiler.cubin(name, source))) {
                Status.cuda(cudart.cuModuleLoadData(module, image), "cuModuleLoadData", name);
            }
            loaded.add(() -> Status.cuda(cudart.cuModuleUnload(module), "cuModuleUnload", name));
            return module;
        });
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
