package dev.rebias.sweep;

import dev.rebias.device.Device;
import dev.rebias.device.Parked;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;

/**
 * The tensors of all batches that wait at a barrier. While those on the device take more than the limit, a batch that has just been worked on goes to a temporary file,
 * and comes back when its turn comes again; batches take their turns in the same order, so the first ones stay and each of the others goes and comes once per barrier. Values
 * do not change on the way. Batches may be worked on by several threads, each by one at a time.
 */
final class Frontier implements AutoCloseable {
    private final Device device;
    private final long limit;
    private final List<Batch> batches = new ArrayList<>();
    private final SpillFile file = new SpillFile();

    /** A batch's tensors by number; null where there is none (any more), or it is in the file. */
    private static final class Batch {
        private final Tensor[] tensors;
        private final int samples;
        private final Map<Integer, SpillFile.Entry> spilled = new TreeMap<>();

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

    /** How many bytes a batch's tensors on the device have. */
    long bytes(int number) {
        return Arrays.stream(batch(number).tensors)
                .filter(Objects::nonNull)
                .mapToLong(Tensor::bytes)
                .sum();
    }

    /** A batch's tensors, all on the device. */
    Tensor[] take(int number) {
        Batch batch = batch(number);
        batch.spilled.forEach((tensor, entry) -> batch.tensors[tensor] = file.read(entry));
        batch.spilled.clear();
        return batch.tensors;
    }

    /**
     * Lets a batch wait.
     *
     * @param made the tensors that it may have now and did not have before
     */
    void rest(int number, List<Integer> made) {
        Batch batch = batch(number);
        for (int tensor : made) {
            if (batch.tensors[tensor] != null) {
                device.settle(batch.tensors[tensor]);
            }
        }
        if (device.usedBytes() <= limit) {
            return;
        }
        for (int i = 0; i < batch.tensors.length; i++) {
            Tensor tensor = batch.tensors[i];
            if (tensor != null && tensor.bytes() > 0) {
                Parked parked = device.park(tensor);
                batch.spilled.put(i, file.write(parked));
                batch.tensors[i] = null;
                tensor.close();
            }
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
        all.close();
    }
}
