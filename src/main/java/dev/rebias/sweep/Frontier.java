package dev.rebias.sweep;

import dev.rebias.device.Device;
import dev.rebias.device.Parked;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The tensors of all batches that wait at a barrier. While those on the device take more than the limit, a batch that
 * has just been worked on goes to a temporary file; of it comes back what a segment uses, when the batch's turn comes
 * again. Batches take their turns in the same order, so the first ones stay and each of the others goes and comes at
 * most once per barrier. Values do not change on the way. Batches may be worked on by several threads, each by one at a
 * time.
 *
 * <p>The file has a thread of its own: it writes behind the work, at most one batch for each thread, and reads ahead of
 * it.
 */
final class Frontier implements AutoCloseable {
    private final Device device;
    private final long limit;
    private final List<Batch> batches = new ArrayList<>();
    private final SpillFile file = new SpillFile();
    private final FileThread thread = new FileThread();
    /** The writes that may not have ended yet, the oldest first. */
    private final Deque<Future<?>> writing = new ArrayDeque<>();

    private final AtomicLong writingBytes = new AtomicLong();
    /** The write of a copy that may not have ended yet: of a device that has one thread. */
    private Optional<Future<SpillFile.Entry>> copying = Optional.empty();

    /** A batch's tensors by number; null where there is none (any more), or it is in the file. */
    private static final class Batch {
        private final Tensor[] tensors;
        private final int samples;
        private final Map<Integer, Future<SpillFile.Entry>> spilled = new HashMap<>();
        private final Map<Integer, Future<SpillFile.Elements>> coming = new HashMap<>();

        Batch(Tensor[] tensors, int samples) {
            this.tensors = tensors;
            this.samples = samples;
        }
    }

    /**
     * A frontier with no batches.
     *
     * @param limit the bytes of tensors on the device beyond which batches go to a file
     */
    Frontier(Device device, long limit) {
        this.device = device;
        this.limit = limit;
    }

    synchronized int size() {
        return batches.size();
    }

    synchronized void enter(Tensor[] tensors, int samples) {
        batches.add(new Batch(tensors, samples));
    }

    private synchronized Batch batch(int number) {
        return batches.get(number);
    }

    /** How many samples a batch has. */
    int samples(int number) {
        return batch(number).samples;
    }

    /** The shapes of a batch's tensors of those numbers, which must be there. */
    List<long[]> shapes(int number, List<Integer> tensors) {
        return tensors.stream().map(t -> batch(number).tensors[t].shape()).toList();
    }

    /** How many bytes a batch's tensors on the device have. */
    long bytes(int number) {
        return Arrays.stream(batch(number).tensors)
                .filter(Objects::nonNull)
                .mapToLong(Tensor::bytes)
                .sum();
    }

    /**
     * A batch's tensors, on the device.
     *
     * @param used the numbers of those that are wanted; others may be missing
     */
    Tensor[] take(int number, Set<Integer> used) {
        Batch batch = batch(number);
        synchronized (batch) {
            for (int tensor : List.copyOf(batch.spilled.keySet())) {
                if (used.contains(tensor)) {
                    bring(batch, tensor);
                }
            }
        }
        return batch.tensors;
    }

    private void bring(Batch batch, int tensor) {
        SpillFile.Entry entry = FileThread.result(batch.spilled.remove(tensor));
        Future<SpillFile.Elements> ahead = batch.coming.remove(tensor);
        SpillFile.Elements elements = FileThread.result(ahead == null ? thread.submit(() -> file.read(entry)) : ahead);
        batch.tensors[tensor] = entry.restore().apply(elements.values());
        file.give(elements);
    }

    /** Begins to read what of a batch is in the file and will be wanted soon. */
    void readAhead(int number, Set<Integer> used) {
        if (number >= size()) {
            return;
        }
        Batch batch = batch(number);
        synchronized (batch) {
            batch.spilled.forEach((tensor, entry) -> {
                if (used.contains(tensor)) {
                    // Behind the writing of it, which is the same thread's.
                    batch.coming.computeIfAbsent(tensor, t -> thread.submit(() -> file.read(FileThread.result(entry))));
                }
            });
        }
    }

    /** Stores a batch until it is taken again: where it is, or beyond the limit in the file. */
    void rest(int number) {
        Batch batch = batch(number);
        if (device.memory().used() - writingBytes.get() <= limit) {
            return;
        }
        Future<?> last = null;
        synchronized (batch) {
            for (int i = 0; i < batch.tensors.length; i++) {
                Tensor tensor = batch.tensors[i];
                if (tensor != null && tensor.bytes() > 0) {
                    Future<SpillFile.Entry> entry = write(tensor);
                    batch.spilled.put(i, entry);
                    batch.tensors[i] = null;
                    last = entry;
                }
            }
        }
        if (last != null) {
            awaitOldest(last);
        }
    }

    private Future<SpillFile.Entry> write(Tensor tensor) {
        // One copy at a time: they are not counted as the device's memory.
        copying.ifPresent(FileThread::result);
        copying = Optional.empty();
        Parked parked = device.park(tensor);
        if (parked.copy()) {
            tensor.close();
            Future<SpillFile.Entry> written = thread.submit(() -> file.write(parked));
            copying = Optional.of(written);
            return written;
        }
        long bytes = tensor.bytes();
        writingBytes.addAndGet(bytes);
        return thread.submit(() -> {
            try {
                return file.write(parked);
            } finally {
                writingBytes.addAndGet(-bytes);
                tensor.close();
            }
        });
    }

    /** Adds a batch's last write, and waits until no more are left than there are threads. */
    private void awaitOldest(Future<?> last) {
        Future<?> oldest = null;
        synchronized (writing) {
            writing.add(last);
            if (writing.size() > device.batches().threads()) {
                oldest = writing.remove();
            }
        }
        if (oldest != null) {
            FileThread.result(oldest);
        }
    }

    /** The most bytes that have been in the file at once. */
    long spilledBytes() {
        return file.peak();
    }

    @Override
    public synchronized void close() {
        Resources all = new Resources();
        all.add(file::close);
        for (Batch batch : batches) {
            for (Tensor tensor : batch.tensors) {
                if (tensor != null) {
                    all.add(tensor::close);
                }
            }
        }
        batches.clear();
        all.add(thread::close);
        all.close();
    }
}
