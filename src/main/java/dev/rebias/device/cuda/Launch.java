package dev.rebias.device.cuda;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import org.bytedeco.cuda.cudart.CUfunc_st;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.PointerPointer;

/**
 * A kernel's arguments, written one after another into native memory that is allocated once, and its launch. The list
 * of arguments ends with a null, which the driver ignores and the emulator counts by.
 */
final class Launch implements AutoCloseable {
    private static final int BYTES = 2048;
    private static final int ARGUMENTS = 64;
    /** Threads per block, of every kernel of rebias. */
    static final int THREADS = 256;

    private final BytePointer memory = new BytePointer(BYTES);
    private final ByteBuffer values = memory.asByteBuffer().order(ByteOrder.nativeOrder());
    private final LongPointer table = new LongPointer(ARGUMENTS + 1);
    private final PointerPointer<?> arguments = new PointerPointer<>(table);
    private final CUstream_st stream;
    private int count;

    Launch(CUstream_st stream) {
        this.stream = stream;
    }

    /** Begins a new list of arguments. */
    Launch begin() {
        values.clear();
        count = 0;
        return this;
    }

    private Launch next() {
        if (count == ARGUMENTS) {
            throw new IllegalStateException("a kernel has more than " + ARGUMENTS + " arguments");
        }
        values.position((values.position() + Long.BYTES - 1) / Long.BYTES * Long.BYTES);
        table.put(count++, memory.address() + values.position());
        return this;
    }

    Launch pointer(long address) {
        return int64(address);
    }

    /** A {@code long long}. */
    Launch int64(long value) {
        next();
        values.putLong(value);
        return this;
    }

    /** An {@code int}. */
    Launch int32(long value) {
        next();
        values.putInt(Math.toIntExact(value));
        return this;
    }

    Launch float32(float value) {
        next();
        values.putFloat(value);
        return this;
    }

    Launch float64(double value) {
        next();
        values.putDouble(value);
        return this;
    }

    /** A {@code struct} of ints. */
    Launch struct(int... fields) {
        next();
        for (int f : fields) {
            values.putInt(f);
        }
        return this;
    }

    /** A {@code struct} of long longs. */
    Launch longs(long... fields) {
        next();
        for (long f : fields) {
            values.putLong(f);
        }
        return this;
    }

    /** The {@code struct Window} of class_sums.cu. */
    Launch window(int[] classes, int[] sizes, long[] strides, long channel, long entry) {
        next();
        for (int c : classes) {
            values.putInt(c);
        }
        for (int s : sizes) {
            values.putInt(s);
        }
        for (long s : strides) {
            values.putLong(s);
        }
        values.putLong(channel);
        values.putLong(entry);
        return this;
    }

    Launch index(StridedIndex index) {
        next();
        index.sizes().forEach(values::putLong);
        index.strides().forEach(values::putLong);
        List<Divisor> divisors = index.divisors();
        divisors.forEach(d -> values.putInt(d.magic()));
        divisors.forEach(d -> values.putInt(d.shift()));
        values.putInt(index.first());
        values.putInt(index.narrow() ? 1 : 0);
        return this;
    }

    /** Launches over at least {@code threads} threads, in one dimension. */
    void over(CUfunc_st kernel, String name, long threads) {
        blocks(kernel, name, (threads + THREADS - 1) / THREADS);
    }

    /** Launches that many blocks of {@link #THREADS} threads. */
    void blocks(CUfunc_st kernel, String name, long blocks) {
        table.put(count, 0L);
        Status.cuda(
                cudart.cuLaunchKernel(kernel, Math.toIntExact(blocks), 1, 1, THREADS, 1, 1, 0, stream, arguments, null),
                "cuLaunchKernel",
                name + ", " + blocks + " blocks");
    }

    @Override
    public void close() {
        arguments.close();
        table.close();
        memory.close();
    }
}
