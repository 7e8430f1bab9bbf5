package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.TensorProto;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/** A dense row-major tensor of doubles; integers are kept as doubles too. */
record NaiveTensor(double[] values, int... shape) {
    NaiveTensor {
        if (values.length != size(shape)) {
            throw new IllegalArgumentException(values.length + " values for shape " + Arrays.toString(shape));
        }
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

    int rank() {
        return shape.length;
    }

    NaiveTensor reshape(int... newShape) {
        return new NaiveTensor(values, newShape);
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
        double[] v = new double[size(shape)];
        ByteBuffer raw = t.getRawData().asReadOnlyByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
        boolean stored = t.hasRawData();
        for (int i = 0; i < v.length; i++) {
            v[i] = switch (t.getDataType()) {
                case 1 -> stored ? raw.getFloat() : t.getFloatData(i);
                case 2 -> stored ? Byte.toUnsignedInt(raw.get()) : t.getInt32Data(i);
                case 3, 9 -> stored ? raw.get() : t.getInt32Data(i);
                case 6 -> stored ? raw.getInt() : t.getInt32Data(i);
                case 7 -> stored ? raw.getLong() : t.getInt64Data(i);
                case 11 -> stored ? raw.getDouble() : t.getDoubleData(i);
                default -> throw new IllegalArgumentException("tensor " + t.getName() + " has type " + t.getDataType());
            };
        }
        return new NaiveTensor(v, shape);
    }
}
