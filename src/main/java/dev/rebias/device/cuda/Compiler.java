package dev.rebias.device.cuda;

import dev.rebias.error.DeviceUnavailableException;
import dev.rebias.error.PrintableText;
import dev.rebias.files.PrivateFolder;
import dev.rebias.files.ProcessFolder;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.LongAdder;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bytedeco.cuda.global.nvrtc;
import org.bytedeco.cuda.nvrtc._nvrtcProgram;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.PointerPointer;
import org.bytedeco.javacpp.SizeTPointer;

/**
 * Compiles kernels with NVRTC to cubins for one architecture, through the cache. Needs no GPU. Safe for use by several
 * threads.
 */
final class Compiler {
    /** The kernels of {@code cuda-kernels/}; those for elementwise groups are written as they are needed. */
    static final List<String> FILES = List.of(
            "argmax.cu",
            "class_sums.cu",
            "copy.cu",
            "decode.cu",
            "error_moments.cu",
            "gather.cu",
            "integer_errors.cu",
            "normalize.cu",
            "pad.cu",
            "pool.cu",
            "reduce.cu",
            "resize.cu",
            "softmax.cu",
            "unfolded_sums.cu");

    private static final List<String> HEADERS =
            List.of("rebias.cuh", "elementwise.cuh", "error_sums.cuh", "integer_layer.cuh", "pointwise.cuh");

    /** Contraction to fused multiply-adds is off, so that kernels round as their sources say. */
    private static final List<String> OPTIONS = List.of("--std=c++17", "--fmad=false");

    private final String architecture;
    private final KernelCache cache;
    private final String version;
    private final Map<String, String> headers = new LinkedHashMap<>();
    private final LongAdder compiled = new LongAdder();
    private final LongAdder found = new LongAdder();
    private final LongAdder nanos = new LongAdder();

    /**
     * A compiler.
     *
     * @param architecture {@code sm_XX}
     * @throws DeviceUnavailableException if NVRTC is not there
     */
    Compiler(String architecture, KernelCache cache) {
        CudaLibraries.compilerMissing().ifPresent(problem -> {
            throw new DeviceUnavailableException("kernels cannot be compiled: " + problem);
        });
        this.architecture = architecture;
        this.cache = cache;
        this.version = version();
        HEADERS.forEach(h -> headers.put(h, source(h)));
    }

    static String version() {
        int[] major = new int[1];
        int[] minor = new int[1];
        Status.nvrtc(nvrtc.nvrtcVersion(major, minor), "nvrtcVersion", "");
        return major[0] + "." + minor[0];
    }

    /**
     * Where compiled kernels are kept and looked for, as the system properties {@code rebias.cache} and
     * {@code rebias.kernels} say.
     */
    static KernelCache cache() {
        String named = System.getProperty("rebias.cache", "");
        Path folder = named.isBlank() ? PrivateFolder.ofUser().orElseGet(ProcessFolder::get) : Path.of(named);
        String compiled = System.getProperty("rebias.kernels", "");
        return new KernelCache(compiled.isBlank() ? List.of() : List.of(Path.of(compiled)), folder);
    }

    /** The text of a file of {@code cuda-kernels/}. */
    static String source(String file) {
        try (InputStream in = Compiler.class.getResourceAsStream("/dev/rebias/kernels/" + file)) {
            if (in == null) {
                throw new IllegalStateException("the program lacks its kernel source " + file);
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** A number that {@code rebias.cuh} defines, for those who launch the kernels: it stands there alone. */
    static int constant(String name) {
        return constant("rebias.cuh", name);
    }

    /** The same of another file. */
    static int constant(String file, String name) {
        Matcher defined =
                Pattern.compile("(?m)^#define " + name + " +(\\d+)(?: +//.*)?$").matcher(source(file));
        if (!defined.find()) {
            throw new IllegalStateException(file + " does not define " + name);
        }
        return Integer.parseInt(defined.group(1));
    }

    /**
     * A cubin, from the cache or compiled now.
     *
     * @param name the source's name, for messages
     */
    byte[] cubin(String name, String source) {
        String key = key(source);
        Optional<byte[]> cached = cache.find(key, maker());
        if (cached.isPresent()) {
            found.increment();
        }
        return cached.orElseGet(() -> compiled(name, source, key));
    }

    /** The same compiled now, in spite of what the cache has, which is replaced: for when that cannot be loaded. */
    byte[] compiledAnew(String name, String source) {
        return compiled(name, source, key(source));
    }

    private byte[] compiled(String name, String source, String key) {
        long start = System.nanoTime();
        byte[] cubin = compile(name, source);
        nanos.add(System.nanoTime() - start);
        compiled.increment();
        cache.keep(key, maker(), source, cubin);
        return cubin;
    }

    /** What makes the cubins. */
    private String maker() {
        return "NVRTC " + version + " for " + architecture;
    }

    private String key(String source) {
        List<String> inputs = new ArrayList<>(List.of(architecture, version, source));
        inputs.addAll(OPTIONS);
        headers.forEach((h, text) -> inputs.add(h + "\n" + text));
        return KernelCache.key(inputs);
    }

    /** What was compiled and what was found, in words; times of compilations that ran at once add up. */
    String summary() {
        return String.format(
                Locale.ROOT,
                "%d sources of kernels compiled in %.1f s of compilers' time, %d found compiled",
                compiled.sum(),
                nanos.sum() / 1e9,
                found.sum());
    }

    KernelCache usedCache() {
        return cache;
    }

    private byte[] compile(String name, String source) {
        List<String> options = new ArrayList<>(OPTIONS);
        options.add("--gpu-architecture=" + architecture);
        String[] names = headers.keySet().toArray(String[]::new);
        String[] texts = headers.values().toArray(String[]::new);
        _nvrtcProgram program = new _nvrtcProgram();
        try (BytePointer text = new BytePointer(source, StandardCharsets.UTF_8);
                BytePointer title = new BytePointer(name, StandardCharsets.UTF_8);
                PointerPointer<BytePointer> headerTexts = new PointerPointer<>(texts, StandardCharsets.UTF_8);
                PointerPointer<BytePointer> headerNames = new PointerPointer<>(names, StandardCharsets.UTF_8);
                PointerPointer<BytePointer> arguments =
                        new PointerPointer<>(options.toArray(String[]::new), StandardCharsets.UTF_8);
                SizeTPointer size = new SizeTPointer(1)) {
            Status.nvrtc(
                    nvrtc.nvrtcCreateProgram(program, text, title, names.length, headerTexts, headerNames),
                    "nvrtcCreateProgram",
                    name);
            try {
                int status = nvrtc.nvrtcCompileProgram(program, options.size(), arguments);
                if (status != nvrtc.NVRTC_SUCCESS) {
                    Status.nvrtc(status, "nvrtcCompileProgram", name + " for " + architecture + ": " + log(program));
                }
                Status.nvrtc(nvrtc.nvrtcGetCUBINSize(program, size), "nvrtcGetCUBINSize", name);
                byte[] cubin = new byte[Math.toIntExact(size.get())];
                Status.nvrtc(nvrtc.nvrtcGetCUBIN(program, cubin), "nvrtcGetCUBIN", name);
                return cubin;
            } finally {
                Status.nvrtc(nvrtc.nvrtcDestroyProgram(program), "nvrtcDestroyProgram", name);
            }
        }
    }

    private static String log(_nvrtcProgram program) {
        try (SizeTPointer size = new SizeTPointer(1)) {
            if (nvrtc.nvrtcGetProgramLogSize(program, size) != nvrtc.NVRTC_SUCCESS) {
                return "its log cannot be read";
            }
            byte[] text = new byte[Math.toIntExact(size.get())];
            if (nvrtc.nvrtcGetProgramLog(program, text) != nvrtc.NVRTC_SUCCESS) {
                return "its log cannot be read";
            }
            return PrintableText.oneLine(new String(text, StandardCharsets.UTF_8).replace("\0", ""));
        }
    }
}
