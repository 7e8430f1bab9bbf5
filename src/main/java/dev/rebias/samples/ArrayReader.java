package dev.rebias.samples;

import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.CodedTensor;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Float16;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.HostValues;
import dev.rebias.tensor.Shape;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;

/** Reads the samples of a stored array as a stream, and turns them into an input's values. */
final class ArrayReader implements SampleReader {
    private final StoredArray array;
    private final InputSpec input;
    private final long[] shape;
    private final Normalization normalization;
    private final InputStream elements;
    private long position;
    /** What bytes become; empty until that is asked for. */
    private float[] table = {};

    /**
     * The shape is the array's, or the input's where they differ in axes of length 1; its axis 0 says how many samples
     * will be read at most.
     */
    ArrayReader(StoredArray array, InputSpec input, long[] shape, Normalization normalization) {
        this.array = array;
        this.input = input;
        this.shape = shape.clone();
        this.normalization = normalization;
        try {
            this.elements = array.elements(shape[0]);
        } catch (IOException e) {
            throw StoredArray.failure(array.where(), e);
        }
    }

    @Override
    public HostValues stored(int n) {
        shape[0] = n;
        int bytes = array.size(shape, "a batch of " + n + " samples", "use a smaller `batchSize`, or smaller samples");
        ByteBuffer raw;
        try {
            byte[] read = elements.readNBytes(bytes);
            if (read.length < bytes) {
                throw new EOFException("it ends early");
            }
            raw = ByteBuffer.wrap(read).order(ByteOrder.LITTLE_ENDIAN);
        } catch (IOException e) {
            throw StoredArray.failure(array.where(), e);
        }
        HostValues out = input.type() == ElementType.FLOAT ? floats(raw) : asTheyAre(raw, input.type());
        position += n;
        return out;
    }

    private HostTensor asTheyAre(ByteBuffer raw, ElementType type) {
        HostTensor out = HostTensor.zeros(type, shape);
        out.bytes().put(raw);
        return out;
    }

    private HostValues floats(ByteBuffer raw) {
        int axis = input.channelAxis(shape, normalization).orElseThrow();
        int channels = axis > 0 ? Math.toIntExact(shape[axis]) : 1;
        int inner = axis > 0 ? Math.toIntExact(Shape.elements(shape, axis + 1, shape.length)) : 1;
        // Of each sample: whether they stay bytes depends on no batch.
        if (array.type().bytes() == 1 && (long) CodedTensor.CODES * channels <= raw.capacity() / shape[0]) {
            if (table.length == 0) {
                table = normalization.table(channels, array.type() == ElementType.INT8);
            }
            // If a code stands for none, the loop below finds where it is.
            if (areFinite(table)) {
                // Of values that share a channel, a sample is a row.
                long row = axis > 0 ? inner : raw.capacity() / shape[0];
                long rows = raw.capacity() / (channels * row);
                return new CodedTensor(
                        shape, asTheyAre(raw, array.type()), CodedTensor.Order.same(rows, channels, row), table);
            }
        }
        HostTensor out = HostTensor.zeros(ElementType.FLOAT, shape);
        convert(raw, out, channels, inner);
        return out;
    }

    private static boolean areFinite(float[] values) {
        int i = 0;
        while (i < values.length && Float.isFinite(values[i])) {
            i++;
        }
        return i == values.length;
    }

    @Override
    public void skip(int n) {
        try {
            elements.skipNBytes(
                    n * Shape.elements(shape, 1, shape.length) * array.type().bytes());
        } catch (IOException e) {
            throw StoredArray.failure(array.where(), e);
        }
        position += n;
    }

    private void convert(ByteBuffer raw, HostTensor out, int channels, int inner) {
        int perSample = Math.toIntExact(Shape.elements(shape, 1, shape.length));
        FloatBuffer to = out.floats();
        for (int i = 0; to.hasRemaining(); i++) {
            float x = number(raw, i);
            if (!Float.isFinite(x)) {
                throw new UnsupportedException(array.where() + " holds " + x + " in sample "
                        + (position + i / perSample) + " (counted from 0): samples must be finite numbers");
            }
            float value = normalization.apply(x, inner == 0 ? 0 : i / inner % channels);
            if (!Float.isFinite(value)) {
                throw new UnsupportedException(
                        array.where() + ": value " + x + " in sample " + (position + i / perSample) + " becomes "
                                + value + " with this scale, mean and std: check them");
            }
            to.put(value);
        }
    }

    private float number(ByteBuffer raw, int i) {
        return switch (array.type()) {
            case UINT8 -> Byte.toUnsignedInt(raw.get(i));
            case INT8 -> raw.get(i);
            case UINT16 -> Short.toUnsignedInt(raw.getShort(Short.BYTES * i));
            case INT16 -> raw.getShort(Short.BYTES * i);
            case INT32 -> raw.getInt(Integer.BYTES * i);
            case INT64 -> raw.getLong(Long.BYTES * i);
            case FLOAT16 -> Float16.toFloat(raw.getShort(Short.BYTES * i));
            case FLOAT -> raw.getFloat(Float.BYTES * i);
            case DOUBLE -> (float) raw.getDouble(Double.BYTES * i);
            default -> throw new IllegalStateException(array.type() + " is no number");
        };
    }

    @Override
    public void close() {
        try {
            elements.close();
        } catch (IOException e) {
            throw StoredArray.failure(array.where(), e);
        }
    }
}
