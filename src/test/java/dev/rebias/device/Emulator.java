package dev.rebias.device;

import com.sun.jna.Library;
import com.sun.jna.Native;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Assumptions;

/** The CUDA emulator's own counters, faults and findings: what it saw, not what the device says of itself. */
public final class Emulator {
    /** The functions of librebias-emulator.so. */
    private interface Functions extends Library {
        long emulator_counter(String name);

        long emulator_calls();

        void emulator_fail(long nth, int code);

        void emulator_fail_function(String function, long nth, int code);

        long emulator_failed(byte[] to, long size);

        long emulator_violation(byte[] to, long size);

        long emulator_live(byte[] to, long size);

        void emulator_memory(long bytes);

        void emulator_devices(int number);

        void emulator_reset();

        long emulator_work(byte[] to, long size);

        void emulator_forget_work();
    }

    private final Functions functions;

    private Emulator(Path library) {
        functions = Native.load(library.toString(), Functions.class);
    }

    /** Whether this JVM runs on the emulator. */
    public static boolean present() {
        return System.getProperty("rebias.test.emulator") != null;
    }

    /** The emulator; a test that needs it is skipped where it could not be built. */
    public static Emulator require() {
        Assumptions.assumeTrue(present(), "this JVM was not started with the emulated CUDA libraries");
        Path library = Path.of(System.getProperty("rebias.test.emulator"), "librebias-emulator.so");
        Assumptions.assumeTrue(Files.exists(library), "the emulator could not be built on this machine");
        return new Emulator(library);
    }

    /**
     * {@code launches}, {@code synchronisations}, {@code allocations}, {@code hostToDeviceBytes},
     * {@code call:<function>} ..
     */
    public long counter(String name) {
        return functions.emulator_counter(name);
    }

    public long calls() {
        return functions.emulator_calls();
    }

    /** Lets the nth call from now on fail, of whichever function; 0 calls that off. */
    public void fail(long nth) {
        functions.emulator_fail(nth, 0);
    }

    /** Lets the nth call from now on of one function fail. */
    public void fail(String function, long nth) {
        functions.emulator_fail_function(function, nth, 0);
    }

    /** Lets every call of one function fail, until {@code fail(0)} calls it off. */
    public void failAlways(String function) {
        functions.emulator_fail_function(function, 0, 0);
    }

    /** The function that was made to fail; empty if none was reached. */
    public String failed() {
        return text(functions::emulator_failed);
    }

    /** The first breach of CUDA's rules; empty if there was none. */
    public String violation() {
        return text(functions::emulator_violation);
    }

    /** What has been created and not destroyed. */
    public String live() {
        return text(functions::emulator_live);
    }

    /** Lets the card have that much memory from now on; 0 for as much as at first. */
    public void memory(long bytes) {
        functions.emulator_memory(bytes);
    }

    /** Lets there be so many cards from now on; 0 for as many as at first. */
    public void devices(int number) {
        functions.emulator_devices(number);
    }

    /** As a new process. */
    public void reset() {
        functions.emulator_reset();
    }

    /**
     * What one kernel or library call did.
     *
     * @param read bytes from the card's memory
     * @param written bytes to it
     * @param fp32 multiply-adds of float32; of kernels none are counted
     * @param tf32 multiply-adds of tensor cores in TF32
     * @param int8 multiply-adds of tensor cores in int8
     */
    public record Work(String name, long calls, long read, long written, long fp32, long tf32, long int8) {
        public long bytes() {
            return read + written;
        }
    }

    /** The work since it was last forgotten, by name. */
    public Map<String, Work> work() {
        byte[] bytes = new byte[1 << 16];
        long length = functions.emulator_work(bytes, bytes.length);
        if (length >= bytes.length) {
            throw new IllegalStateException("the emulator's list of work is longer than " + bytes.length + " bytes");
        }
        Map<String, Work> all = new TreeMap<>();
        new String(bytes, 0, (int) length, StandardCharsets.UTF_8).lines().forEach(line -> {
            String[] f = line.split("\t", -1);
            long[] n = Arrays.stream(f).skip(1).mapToLong(Long::parseLong).toArray();
            all.put(f[0], new Work(f[0], n[0], n[1], n[2], n[3], n[4], n[5]));
        });
        return all;
    }

    /** Begins to count work anew. */
    public void forgetWork() {
        functions.emulator_forget_work();
    }

    private interface Text {
        long write(byte[] to, long size);
    }

    private static String text(Text source) {
        byte[] bytes = new byte[4096];
        long length = source.write(bytes, bytes.length);
        return new String(bytes, 0, (int) Math.min(length, bytes.length - 1), StandardCharsets.UTF_8);
    }
}
