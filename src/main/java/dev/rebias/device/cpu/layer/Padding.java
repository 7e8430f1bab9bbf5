package dev.rebias.device.cpu.layer;

import dev.rebias.device.cpu.memory.Address;
import dev.rebias.device.cpu.onednn.ThreadScratch;
import dev.rebias.tensor.Shape;
import java.util.Arrays;
import org.bytedeco.javacpp.Pointer;

/**
 * Puts a border around samples' bytes, channels last. Data with a zero point are padded with it, not with 0; next to
 * some paddings oneDNN 3.11 gets that wrong, so it is given data that are padded already.
 */
final class Padding {
    private final byte value;
    private final long[] data;
    private final long[] before;
    private final long[] padded;

    /**
     * A border.
     *
     * @param value what it consists of
     * @param data the samples' shape: [samples, channels, spatial..]
     * @param before for each spatial dimension how many positions come before, 0 or more
     * @param behind how many come behind; a negative number takes none away
     */
    Padding(byte value, long[] data, long[] before, long[] behind) {
        this.value = value;
        this.data = data.clone();
        this.before = before.clone();
        this.padded = data.clone();
        for (int i = 0; i < before.length; i++) {
            padded[i + 2] += before[i] + Math.max(0, behind[i]);
        }
    }

    /** The shape with the border. */
    long[] shape() {
        return padded.clone();
    }

    /** Makes a copy with the border, and gives its address; it holds until this thread makes the next. */
    long apply(ThreadScratch scratch, long from) {
        long size = Shape.elements(padded);
        long to = scratch.padded(size);
        try (Address target = new Address();
                Address source = new Address()) {
            Pointer.memset(target.at(to), value, size);
            int last = data.length - 1;
            long row = data[last] * data[1];
            // The sample, then all spatial dimensions but the last.
            long[] index = new long[last - 1];
            for (long at = 0; at < Shape.elements(data); at += row) {
                long position = index[0];
                for (int i = 1; i < index.length; i++) {
                    position = position * padded[i + 1] + before[i - 1] + index[i];
                }
                position = position * padded[last] + before[last - 2];
                Pointer.memcpy(target.at(to + position * data[1]), source.at(from + at), row);
                for (int i = index.length - 1; i >= 0 && ++index[i] == data[i == 0 ? 0 : i + 1]; i--) {
                    index[i] = 0;
                }
            }
        }
        return to;
    }

    @Override
    public String toString() {
        return Arrays.toString(data) + " padded to " + Arrays.toString(padded);
    }
}
