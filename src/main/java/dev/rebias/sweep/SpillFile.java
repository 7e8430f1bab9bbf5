package dev.rebias.sweep;

import dev.rebias.device.FreeRanges;
import dev.rebias.device.Parked;
import dev.rebias.device.Tensor;
import dev.rebias.error.Failure;
import dev.rebias.error.RebiasException;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.function.Function;

/**
 * A temporary file of tensors, made when the first one comes. Its name is taken out of the folder as soon as it is
 * open, so that it is gone with the process, however that ends. Safe for use by several threads.
 */
final class SpillFile implements AutoCloseable {
    private final FreeRanges space = new FreeRanges(Long.MAX_VALUE);
    private Optional<FileChannel> channel = Optional.empty();
    /** Memory to read into, by size. */
    private final TreeMap<Integer, Deque<ByteBuffer>> idle = new TreeMap<>();

    private long bytes;
    private long peak;

    /** Where a tensor lies in the file, and what it was. */
    record Entry(long offset, long size, ElementType type, long[] shape, Function<HostTensor, Tensor> restore) {}

    Entry write(Parked parked) {
        HostTensor t = parked.elements();
        ByteBuffer from = t.bytes();
        long size = from.remaining();
        FileChannel to = open();
        long offset = take(size);
        try {
            for (long at = offset; from.hasRemaining(); ) {
                at += to.write(from, at);
            }
        } catch (IOException e) {
            throw new RebiasException(
                    "tensors beyond `memoryLimit` cannot be written to a temporary file in '" + folder() + "': "
                            + Failure.reason(e)
                            + "; free space there, set TMPDIR to another folder, or allow more memory",
                    e);
        }
        return new Entry(offset, size, t.type(), t.shape(), parked.restore());
    }

    /** A tensor's elements, in memory that is the file's. */
    record Elements(HostTensor values, ByteBuffer memory) {}

    /** Reads a tensor's elements; its place in the file is free then. */
    Elements read(Entry entry) {
        ByteBuffer memory = memory(Math.toIntExact(entry.size()));
        ByteBuffer to = memory.slice(0, Math.toIntExact(entry.size()));
        try {
            FileChannel from = open();
            for (long at = entry.offset(); to.hasRemaining(); ) {
                int n = from.read(to, at);
                if (n < 0) {
                    throw new EOFException("it ends early");
                }
                at += n;
            }
        } catch (IOException e) {
            throw new RebiasException(
                    "the temporary file of tensors in '" + folder() + "' cannot be read: " + Failure.reason(e), e);
        }
        give(entry);
        return new Elements(new HostTensor(entry.type(), entry.shape(), to), memory);
    }

    private synchronized ByteBuffer memory(int size) {
        Map.Entry<Integer, Deque<ByteBuffer>> fitting = idle.ceilingEntry(size);
        if (fitting == null) {
            return ByteBuffer.allocateDirect(size);
        }
        ByteBuffer memory = fitting.getValue().pop();
        if (fitting.getValue().isEmpty()) {
            idle.remove(fitting.getKey());
        }
        return memory;
    }

    /** Takes back the memory of elements that nobody reads any more. */
    synchronized void give(Elements elements) {
        idle.computeIfAbsent(elements.memory().capacity(), k -> new ArrayDeque<>())
                .push(elements.memory());
    }

    private synchronized long take(long size) {
        bytes += size;
        peak = Math.max(peak, bytes);
        return space.take(size).orElseThrow();
    }

    private synchronized void give(Entry entry) {
        bytes -= entry.size();
        space.give(entry.offset(), entry.size());
    }

    synchronized long peak() {
        return peak;
    }

    private static Path folder() {
        return Path.of(System.getProperty("java.io.tmpdir"));
    }

    private synchronized FileChannel open() {
        if (channel.isEmpty()) {
            try {
                Path path = folder().resolve("rebias-" + UUID.randomUUID() + ".tensors");
                // On Linux the JDK removes the name at once, not only on close.
                channel = Optional.of(FileChannel.open(
                        path,
                        Set.of(
                                StandardOpenOption.CREATE_NEW,
                                StandardOpenOption.READ,
                                StandardOpenOption.WRITE,
                                StandardOpenOption.DELETE_ON_CLOSE),
                        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"))));
            } catch (IOException e) {
                throw new RebiasException(
                        "no temporary file can be made in '" + folder() + "' for tensors beyond `memoryLimit`: "
                                + Failure.reason(e) + "; set TMPDIR to another folder, or allow more memory",
                        e);
            }
        }
        return channel.get();
    }

    @Override
    public synchronized void close() {
        if (channel.isPresent()) {
            try {
                channel.get().close();
            } catch (IOException e) {
                throw new RebiasException("the temporary file of tensors cannot be closed: " + Failure.reason(e), e);
            }
            channel = Optional.empty();
        }
    }
}
