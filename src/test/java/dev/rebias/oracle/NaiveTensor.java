package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Set;

/**
 * A dense row-major tensor. Every element is kept as a double, integers and booleans too; the type says what ONNX calls
 * them.
 */
record NaiveTensor(DataType type, double[] values, int... shape) {
    private static final Set<DataType> FRACTIONS =
            Set.of(DataType.FLOAT, DataType.DOUBLE, DataType.FLOAT16, DataType.BFLOAT16);

    NaiveTensor {
        if (values.length != size(shape)) {
            throw new IllegalArgumentException(values.length + " values for shape " + Arrays.toString(shape));
        }
    }

    /** Floats. */
    NaiveTensor(double[] values, int... shape) {
        this(DataType.FLOAT, values, shape);
    }

    static int size(int... shape) {
        int n = 1;
        for (int d : shape) {
            n *= d;
        }
        return n;
    }

    static NaiveTensor zeros(int... shape) {
        return new NaiveTensor(new double[size(shape)], shape);
    }

    static NaiveTensor integers(int... values) {
        return new NaiveTensor(
                DataType.INT64, Arrays.stream(values).asDoubleStream().toArray(), values.length);
    }

    int rank() {
        return shape.length;
    }

    boolean isInteger() {
        return !FRACTIONS.contains(type);
    }

    NaiveTensor as(DataType newType) {
        return new NaiveTensor(newType, values, shape);
    }

    NaiveTensor reshape(int... newShape) {
        return new NaiveTensor(type, values, newShape);
    }

    /** An axis that may count from the end, counted from the front. */
    int axis(int axis) {
        return axis < 0 ? axis + shape.length : axis;
    }

    /** The product of the dimensions from..to-1. */
    int span(int from, int to) {
        return size(Arrays.copyOfRange(shape, from, to));
    }

    int[] toInts() {
        return Arrays.stream(values).mapToInt(v -> (int) v).toArray();
    }

    static NaiveTensor of(TensorProto t) {
        int[] shape = t.getDimsList().stream().mapToInt(Long::intValue).toArray();
        DataType type = DataType.forNumber(t.getDataType());
        double[] v = new double[size(shape)];
        ByteBuffer raw = t.getRawData().asReadOnlyByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
        boolean stored = t.hasRawData();
        for (int i = 0; i < v.length; i++) {
            v[i] = switch (type) {
                case FLOAT -> stored ? raw.getFloat() : t.getFloatData(i);
                case DOUBLE -> stored ? raw.getDouble() : t.getDoubleData(i);
                case UINT8 -> stored ? Byte.toUnsignedInt(raw.get()) : t.getInt32Data(i);
                case INT8, BOOL -> stored ? raw.get() : t.getInt32Data(i);
                case UINT16 -> stored ? Short.toUnsignedInt(raw.getShort()) : t.getInt32Data(i);
                case INT16 -> stored ? raw.getShort() : t.getInt32Data(i);
                case INT32 -> stored ? raw.getInt() : t.getInt32Data(i);
                case INT64 -> stored ? raw.getLong() : t.getInt64Data(i);
                case UINT32 -> stored ? Integer.toUnsignedLong(raw.getInt()) : t.getUint64Data(i);
                // Beyond 2^63 a double holds no exact integers anyway.
                case UINT64 -> stored ? raw.getLong() : t.getUint64Data(i);
                case FLOAT16 -> half(stored ? raw.getShort() : t.getInt32Data(i));
                case BFLOAT16 -> Float.intBitsToFloat((stored ? raw.getShort() : t.getInt32Data(i)) << 16);
                default -> throw new IllegalArgumentException("tensor " + t.getName() + " has type " + type);
            };
        }
        return new NaiveTensor(type, v, shape);
    }

    /** IEEE 754 binary16. */
    private static double half(int bits) {
        int exponent = bits >> 10 & 31;
        int fraction = bits & 1023;
        double magnitude;
        if (exponent == 0) {
            magnitude = Math.scalb((double) fraction, -24);
        } else if (exponent == 31) {
            magnitude = fraction == 0 ? Double.POSITIVE_INFINITY : Double.NaN;
        } else {
            magnitude = Math.scalb(1024.0 + fraction, exponent - 25);
        }
        return (bits & 0x8000) == 0 ? magnitude : -magnitude;
    }
}
