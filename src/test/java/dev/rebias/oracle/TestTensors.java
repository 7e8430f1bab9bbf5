package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.TensorProto;
import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Set;

/** Tensors of any type of numbers as tests read, fill and compare them. */
final class TestTensors {
    private TestTensors() {}

    /** The values of a message, whichever field holds them. */
    static HostTensor of(TensorProto tensor) {
        ElementType type = ElementType.ofOnnxCode(tensor.getDataType())
                .orElseThrow(() -> new UnsupportedException(
                        "tensor '" + tensor.getName() + "' has ONNX element type " + tensor.getDataType()));
        long[] shape = tensor.getDimsList().stream().mapToLong(Long::longValue).toArray();
        HostTensor out = HostTensor.zeros(type, shape);
        if (tensor.hasRawData()) {
            out.bytes().put(tensor.getRawData().asReadOnlyByteBuffer().order(ByteOrder.LITTLE_ENDIAN));
            return out;
        }
        int n = Math.toIntExact(out.elements());
        for (int i = 0; i < n; i++) {
            switch (type) {
                case FLOAT -> out.floats().put(i, tensor.getFloatData(i));
                case DOUBLE -> out.bytes().putDouble(8 * i, tensor.getDoubleData(i));
                case INT64 -> out.longs().put(i, tensor.getInt64Data(i));
                case UINT64 -> out.bytes().putLong(8 * i, tensor.getUint64Data(i));
                case UINT32 -> out.bytes().putInt(4 * i, (int) tensor.getUint64Data(i));
                default -> putInteger(out, i, tensor.getInt32Data(i));
            }
        }
        return out;
    }

    /** Bits or an integer into a tensor of up to 32 bits a value. */
    static void putInteger(HostTensor tensor, int i, int value) {
        ByteBuffer bytes = tensor.bytes();
        switch (tensor.type().bytes()) {
            case 1 -> bytes.put(i, (byte) value);
            case 2 -> bytes.putShort(2 * i, (short) value);
            default -> bytes.putInt(4 * i, value);
        }
    }

    /** The elements as numbers; of BOOL 0 and 1. */
    static double[] doubles(HostTensor tensor) {
        ByteBuffer bytes = tensor.bytes();
        double[] values = new double[Math.toIntExact(tensor.elements())];
        for (int i = 0; i < values.length; i++) {
            values[i] = switch (tensor.type()) {
                case FLOAT -> bytes.getFloat(4 * i);
                case DOUBLE -> bytes.getDouble(8 * i);
                case INT64, UINT64 -> bytes.getLong(8 * i);
                case INT32 -> bytes.getInt(4 * i);
                case UINT32 -> Integer.toUnsignedLong(bytes.getInt(4 * i));
                case INT16 -> bytes.getShort(2 * i);
                case UINT16 -> Short.toUnsignedInt(bytes.getShort(2 * i));
                case INT8 -> bytes.get(i);
                case UINT8, BOOL -> Byte.toUnsignedInt(bytes.get(i));
                case BFLOAT16 -> Float.intBitsToFloat(bytes.getShort(2 * i) << 16);
                case FLOAT16 -> half(bytes.getShort(2 * i));
            };
        }
        return values;
    }

    static boolean isInteger(ElementType type) {
        return !Set.of(ElementType.FLOAT, ElementType.DOUBLE, ElementType.FLOAT16, ElementType.BFLOAT16)
                .contains(type);
    }

    private static double half(short bits) {
        int exponent = bits >> 10 & 31;
        int fraction = bits & 1023;
        double magnitude =
                switch (exponent) {
                    case 0 -> Math.scalb((double) fraction, -24);
                    case 31 -> fraction == 0 ? Double.POSITIVE_INFINITY : Double.NaN;
                    default -> Math.scalb(1024.0 + fraction, exponent - 25);
                };
        return bits < 0 ? -magnitude : magnitude;
    }
}
