package dev.rebias.tensor;

import dev.rebias.error.UnsupportedException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.LongBuffer;

/**
 * A dense, row-major tensor in host memory, outside the Java heap, so that native code reads it without a copy.
 *
 * <p>The buffer is not copied and not guarded: whoever hands it over stops writing to it. Not safe for concurrent
 * writes.
 */
public final class HostTensor implements HostValues {
    private final ElementType type;
    private final long[] shape;
    private final ByteBuffer data;

    /**
     * Wraps a direct buffer of exactly the tensor's size, in the machine's byte order. If it is read-only, so is the
     * tensor.
     *
     * @throws IllegalArgumentException if the buffer is on the heap or its size does not fit type and shape
     */
    public HostTensor(ElementType type, long[] shape, ByteBuffer data) {
        long bytes = Math.multiplyExact(Shape.elements(shape), (long) type.bytes());
        if (!data.isDirect() || data.capacity() != bytes) {
            throw new IllegalArgumentException("a " + type + " tensor of shape " + Shape.text(shape)
                    + " needs a direct buffer of " + bytes + " bytes, got " + data.capacity());
        }
        this.type = type;
        this.shape = shape.clone();
        this.data = data.duplicate().order(ByteOrder.nativeOrder()).clear();
    }

    /**
     * A new tensor of zeros.
     *
     * @throws UnsupportedException if its data would be 2 GiB or more, the limit of a Java buffer
     */
    public static HostTensor zeros(ElementType type, long... shape) {
        int bytes;
        try {
            bytes = Math.toIntExact(Math.multiplyExact(Shape.elements(shape), (long) type.bytes()));
        } catch (ArithmeticException e) {
            throw new UnsupportedException(
                    "a " + type + " tensor of shape " + Shape.text(shape)
                            + " would take 2 GiB or more, which rebias does not hold in one tensor: use a smaller "
                            + "`batchSize`, or smaller samples",
                    e);
        }
        return new HostTensor(type, shape, ByteBuffer.allocateDirect(bytes));
    }

    /** A new float tensor with these values, row-major. */
    public static HostTensor of(float[] values, long... shape) {
        HostTensor t = zeros(ElementType.FLOAT, shape);
        t.floats().put(values);
        return t;
    }

    /** A new int64 tensor with these values, row-major. */
    public static HostTensor of(long[] values, long... shape) {
        HostTensor t = zeros(ElementType.INT64, shape);
        t.longs().put(values);
        return t;
    }

    /** A scalar of one byte, UINT8 or INT8. */
    public static HostTensor ofByte(ElementType type, long value) {
        HostTensor t = zeros(type);
        t.bytes().put(0, (byte) value);
        return t;
    }

    @Override
    public ElementType type() {
        return type;
    }

    @Override
    public long[] shape() {
        return shape.clone();
    }

    @Override
    public long storedBytes() {
        return data.capacity();
    }

    @Override
    public HostTensor tensor() {
        return this;
    }

    public int rank() {
        return shape.length;
    }

    public long elements() {
        return Shape.elements(shape);
    }

    /** The bytes, row-major, native byte order; a view from position 0 that shares the memory. */
    public ByteBuffer bytes() {
        return data.duplicate().order(ByteOrder.nativeOrder());
    }

    /**
     * The elements of a FLOAT tensor; a view.
     *
     * @throws IllegalStateException if the tensor has another type
     */
    public FloatBuffer floats() {
        return require(ElementType.FLOAT).asFloatBuffer();
    }

    /** The elements of an INT32 tensor; a view. Throws as {@link #floats()} does. */
    public IntBuffer ints() {
        return require(ElementType.INT32).asIntBuffer();
    }

    /** The elements of an INT64 tensor; a view. Throws as {@link #floats()} does. */
    public LongBuffer longs() {
        return require(ElementType.INT64).asLongBuffer();
    }

    /** A copy of a FLOAT tensor's elements. Throws as {@link #floats()} does. */
    public float[] toFloats() {
        float[] out = new float[Math.toIntExact(elements())];
        floats().get(out);
        return out;
    }

    /** The element at a position, row-major, as a number; BOOL as 0 or 1, UINT64 above 2^63 less 2^64. */
    public double number(int at) {
        ByteBuffer from = bytes();
        return switch (type) {
            case FLOAT -> from.getFloat(Float.BYTES * at);
            case DOUBLE -> from.getDouble(Double.BYTES * at);
            case FLOAT16 -> Float16.toFloat(from.getShort(Short.BYTES * at));
            case BFLOAT16 -> Float.intBitsToFloat(from.getShort(Short.BYTES * at) << 16);
            case UINT8, BOOL -> Byte.toUnsignedInt(from.get(at));
            case INT8 -> from.get(at);
            case UINT16 -> Short.toUnsignedInt(from.getShort(Short.BYTES * at));
            case INT16 -> from.getShort(Short.BYTES * at);
            case INT32 -> from.getInt(Integer.BYTES * at);
            case UINT32 -> Integer.toUnsignedLong(from.getInt(Integer.BYTES * at));
            case INT64, UINT64 -> from.getLong(Long.BYTES * at);
        };
    }

    /** The same data under another shape of the same number of elements. */
    public HostTensor reshape(long... newShape) {
        return new HostTensor(type, newShape, data);
    }

    private ByteBuffer require(ElementType wanted) {
        if (type != wanted) {
            throw new IllegalStateException("tensor holds " + type + ", not " + wanted);
        }
        return bytes();
    }

    @Override
    public String toString() {
        return type + Shape.text(shape);
    }
}
