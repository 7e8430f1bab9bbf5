package dev.rebias.device.cpu.onednn;

import static org.bytedeco.dnnl.global.dnnl.dnnl_stream_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_stream_default_flags;
import static org.bytedeco.dnnl.global.dnnl.dnnl_stream_destroy;

import dev.rebias.device.Resources;
import dev.rebias.device.cpu.memory.CpuTensor;
import dev.rebias.device.cpu.memory.Floats;
import dev.rebias.device.cpu.memory.NativeMemory;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.bytedeco.dnnl.dnnl_stream;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;

/**
 * What one thread needs to work: a oneDNN stream, scratch memory, and arrays for the tiles of elementwise loops. Used
 * by that thread only.
 */
public final class ThreadScratch implements AutoCloseable {
    private static final int LINE = 64;
    /** Of a Java array, bytes. */
    private static final int HEADER = 16;

    private Optional<dnnl_stream> stream = Optional.empty();
    private BytePointer scratch = new BytePointer();
    private BytePointer expansion = new BytePointer();
    private BytePointer integers = new BytePointer();
    private BytePointer padded = new BytePointer();
    private BytePointer between = new BytePointer();
    private Optional<CpuTensor> expanded = Optional.empty();
    private long expandedZero;
    private float[][] tiles = new float[0][0];
    private double[][] wide = new double[0][0];
    private final List<Floats> windows = new ArrayList<>();
    private int[] ints = new int[0];
    private long[] longs = new long[0];

    /** The stream; its thread is told to work alone, for threads are ours to share out. */
    public dnnl_stream stream() {
        if (stream.isEmpty()) {
            OneDnn.workAlone();
            dnnl_stream made = new dnnl_stream();
            OneDnn.check(dnnl_stream_create(made, OneDnn.engine(), dnnl_stream_default_flags), "dnnl_stream_create");
            stream = Optional.of(made);
        }
        return stream.get();
    }

    /** Says that another thread has it from now on. */
    void adopted() {
        if (stream.isPresent()) {
            OneDnn.workAlone();
        }
    }

    /** The address of at least that much memory, which the next caller may overwrite. */
    long scratch(long size) {
        scratch = atLeast(scratch, size);
        return scratch.address();
    }

    /** The address of memory for a tensor's data as floats, without their zero point. */
    long expansion(long size) {
        expanded = Optional.empty();
        expansion = atLeast(expansion, size);
        return expansion.address();
    }

    /** The address of memory for a tensor's data as 8-bit integers. */
    long integers(long size) {
        integers = atLeast(integers, size);
        return integers.address();
    }

    /** The address of memory for a sample's bytes with a border around them. */
    public long padded(long size) {
        padded = atLeast(padded, size);
        return padded.address();
    }

    /** The address of memory for what one primitive of several leaves to the next. */
    public long between(long size) {
        between = atLeast(between, size);
        return between.address();
    }

    /**
     * Whether {@link #expansion} holds this tensor: a layer and its error are computed from the same data, one after
     * the other.
     */
    boolean holds(CpuTensor tensor, long zero) {
        return expanded.isPresent() && expanded.get() == tensor && expandedZero == zero;
    }

    void expanded(CpuTensor tensor, long zero) {
        expanded = Optional.of(tensor);
        expandedZero = zero;
    }

    long expansionAddress() {
        return expansion.address();
    }

    private static BytePointer atLeast(BytePointer have, long size) {
        if (have.capacity() >= size && !have.isNull()) {
            return have;
        }
        long room = Math.max(size, 64);
        BytePointer made = NativeMemory.allocate(room, "a thread's work");
        Pointer.free(have);
        return made;
    }

    /**
     * That many arrays of at least that length. They are made one behind the other, each a multiple of a cache line
     * long with its header of 16 bytes: so elements of one index lie alike in their lines, and a vector loop that
     * begins where one array's line does crosses no line in the others.
     */
    public float[][] tiles(int count, int length) {
        if (tiles.length < count || (count > 0 && tiles[0].length < length)) {
            int most = Math.max(length, tiles.length == 0 ? 0 : tiles[0].length);
            int lines = (HEADER + most * Float.BYTES + LINE - 1) / LINE;
            tiles = new float[Math.max(count, tiles.length)][(lines * LINE - HEADER) / Float.BYTES];
        }
        return tiles;
    }

    /** The same of doubles. */
    public double[][] wide(int count, int length) {
        if (wide.length < count || (count > 0 && wide[0].length < length)) {
            wide = new double[Math.max(count, wide.length)][Math.max(length, wide.length == 0 ? 0 : wide[0].length)];
        }
        return wide;
    }

    /** The window of that number. */
    public Floats window(int number) {
        while (windows.size() <= number) {
            windows.add(new Floats(Floats.WINDOW));
        }
        return windows.get(number);
    }

    public int[] ints(int length) {
        if (ints.length < length) {
            ints = new int[length];
        }
        return ints;
    }

    public long[] longs(int length) {
        if (longs.length < length) {
            longs = new long[length];
        }
        return longs;
    }

    @Override
    public void close() {
        Resources all = new Resources();
        all.add(() -> Pointer.free(expansion));
        all.add(() -> Pointer.free(integers));
        all.add(() -> Pointer.free(padded));
        all.add(() -> Pointer.free(between));
        all.add(() -> Pointer.free(scratch));
        windows.forEach(w -> all.add(w::close));
        windows.clear();
        stream.ifPresent(s -> all.add(() -> OneDnn.check(dnnl_stream_destroy(s), "dnnl_stream_destroy")));
        stream = Optional.empty();
        all.close();
    }
}
