package dev.rebias.model;

import ai.onnx.proto.OnnxMl.TensorProto;
import com.google.protobuf.ByteString;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Float16;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.LongStream;

/**
 * Values of FLOAT, FLOAT16, BFLOAT16 and integer tensors as a file stores them: raw_data (little endian) or the typed
 * field.
 */
final class StoredTensor {
    private static final Set<ElementType> INTEGERS =
            Set.of(ElementType.INT8, ElementType.UINT8, ElementType.INT16, ElementType.UINT16, ElementType.INT32);

    private StoredTensor() {}

    /** The values of a FLOAT, FLOAT16 or BFLOAT16 tensor. */
    static float[] floats(TensorProto tensor) {
        if (isHalf(tensor)) {
            return halves(tensor);
        }
        if (tensor.hasRawData()) {
            float[] out = new float[tensor.getRawData().size() / Float.BYTES];
            raw(tensor).asFloatBuffer().get(out);
            return out;
        }
        float[] out = new float[tensor.getFloatDataCount()];
        for (int i = 0; i < out.length; i++) {
            out[i] = tensor.getFloatData(i);
        }
        return out;
    }

    static boolean isHalf(TensorProto tensor) {
        return tensor.getDataType() == ElementType.FLOAT16.onnxCode()
                || tensor.getDataType() == ElementType.BFLOAT16.onnxCode();
    }

    /** Of 16 bits each, in raw_data or the lower half of int32_data. */
    private static float[] halves(TensorProto tensor) {
        int n = tensor.hasRawData() ? tensor.getRawData().size() / Short.BYTES : tensor.getInt32DataCount();
        ByteBuffer bytes = raw(tensor);
        boolean brain = tensor.getDataType() == ElementType.BFLOAT16.onnxCode();
        float[] out = new float[n];
        for (int i = 0; i < n; i++) {
            short bits = tensor.hasRawData() ? bytes.getShort(Short.BYTES * i) : (short) tensor.getInt32Data(i);
            out[i] = brain ? Float.intBitsToFloat(bits << 16) : Float16.toFloat(bits);
        }
        return out;
    }

    /** The values of an INT64 tensor, none of them in a file of their own; empty for other types. */
    static Optional<long[]> longs(TensorProto tensor) {
        if (tensor.getDataType() != ElementType.INT64.onnxCode() || ExternalData.isExternal(tensor)) {
            return Optional.empty();
        }
        if (!tensor.hasRawData()) {
            return Optional.of(tensor.getInt64DataList().stream()
                    .mapToLong(Long::longValue)
                    .toArray());
        }
        long[] out = new long[tensor.getRawData().size() / Long.BYTES];
        raw(tensor).asLongBuffer().get(out);
        return Optional.of(out);
    }

    /** The values of an integer tensor of up to 32 bits; empty for other types. */
    static Optional<long[]> integers(TensorProto tensor) {
        Optional<ElementType> type =
                ElementType.ofOnnxCode(tensor.getDataType()).filter(INTEGERS::contains);
        return type.map(t -> {
            if (!tensor.hasRawData()) {
                return tensor.getInt32DataList().stream()
                        .mapToLong(Integer::longValue)
                        .toArray();
            }
            ByteBuffer bytes = raw(tensor);
            long[] out = new long[bytes.remaining() / t.bytes()];
            for (int i = 0; i < out.length; i++) {
                out[i] = switch (t) {
                    case INT8 -> bytes.get(i);
                    case UINT8 -> Byte.toUnsignedInt(bytes.get(i));
                    case INT16 -> bytes.getShort(2 * i);
                    case UINT16 -> Short.toUnsignedInt(bytes.getShort(2 * i));
                    default -> bytes.getInt(4 * i);
                };
            }
            return out;
        });
    }

    /**
     * The values of an integer tensor of weights: of 4 bits, two to a byte and the lower half first, or as
     * {@link #integers}.
     */
    static Optional<long[]> weights(TensorProto tensor) {
        return isNibbles(tensor) ? Optional.of(nibbles(tensor)) : integers(tensor);
    }

    private static boolean isNibbles(TensorProto tensor) {
        return tensor.getDataType() == TensorProto.DataType.INT4.getNumber()
                || tensor.getDataType() == TensorProto.DataType.UINT4.getNumber();
    }

    private static boolean isSigned(TensorProto nibbles) {
        return nibbles.getDataType() == TensorProto.DataType.INT4.getNumber();
    }

    private static long[] nibbles(TensorProto tensor) {
        int n = Math.toIntExact(tensor.getDimsList().stream().reduce(1L, Math::multiplyExact));
        boolean signed = isSigned(tensor);
        ByteBuffer bytes = raw(tensor);
        long[] out = new long[n];
        for (int i = 0; i < n; i++) {
            int both = tensor.hasRawData() ? bytes.get(i / 2) : tensor.getInt32Data(i / 2);
            int nibble = (both >> (4 * (i % 2))) & 0xF;
            out[i] = signed && nibble > 7 ? nibble - 16 : nibble;
        }
        return out;
    }

    /** The same tensor of weights with other values; values that do not fit their type are the caller's mistake. */
    static TensorProto withWeights(TensorProto tensor, long[] values) {
        if (!isNibbles(tensor)) {
            return with(tensor, values);
        }
        TensorProto.Builder out = emptied(tensor, values.length);
        byte[] bytes = new byte[(values.length + 1) / 2];
        for (int i = 0; i < values.length; i++) {
            bytes[i / 2] |= (byte) ((values[i] & 0xF) << (4 * (i % 2)));
        }
        if (tensor.getInt32DataCount() == 0) {
            return out.setRawData(ByteString.copyFrom(bytes)).build();
        }
        for (byte both : bytes) {
            out.addInt32Data(both & 0xFF);
        }
        return out.build();
    }

    /** The least integer that a tensor's type holds. */
    static long lowest(TensorProto tensor) {
        if (!isNibbles(tensor)) {
            return type(tensor).lowest();
        }
        return isSigned(tensor) ? -8 : 0;
    }

    /** The largest integer that a tensor's type holds. */
    static long highest(TensorProto tensor) {
        if (!isNibbles(tensor)) {
            return type(tensor).highest();
        }
        return isSigned(tensor) ? 7 : 15;
    }

    private static ElementType type(TensorProto tensor) {
        return ElementType.ofOnnxCode(tensor.getDataType()).orElseThrow();
    }

    private static ByteBuffer raw(TensorProto tensor) {
        return tensor.getRawData().asReadOnlyByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
    }

    /**
     * The tensor with other values, in the field that held the old ones; its shape becomes [n] where the number of
     * values changes.
     */
    static TensorProto with(TensorProto tensor, float[] values) {
        if (isHalf(tensor)) {
            return withHalves(tensor, values);
        }
        TensorProto.Builder out = emptied(tensor, values.length);
        if (tensor.getFloatDataCount() > 0) {
            for (float v : values) {
                out.addFloatData(v);
            }
        } else {
            ByteBuffer bytes = ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
            bytes.asFloatBuffer().put(values);
            out.setRawData(ByteString.copyFrom(bytes));
        }
        return out.build();
    }

    /** Each value rounded to 16 bits; a BFLOAT16 is the upper half of a float, rounded to even. */
    private static TensorProto withHalves(TensorProto tensor, float[] values) {
        boolean brain = tensor.getDataType() == ElementType.BFLOAT16.onnxCode();
        TensorProto.Builder out = emptied(tensor, values.length);
        ByteBuffer bytes = ByteBuffer.allocate(values.length * Short.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (float v : values) {
            int bits = Float.floatToIntBits(v);
            bytes.putShort(brain ? (short) ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16) : Float16.of(v));
        }
        bytes.flip();
        if (tensor.getInt32DataCount() == 0) {
            out.setRawData(ByteString.copyFrom(bytes));
        }
        while (bytes.hasRemaining() && tensor.getInt32DataCount() > 0) {
            out.addInt32Data(Short.toUnsignedInt(bytes.getShort()));
        }
        return out.build();
    }

    /** The same for integers of up to 32 bits; values that do not fit their type are the caller's mistake. */
    static TensorProto with(TensorProto tensor, long[] values) {
        TensorProto.Builder out = emptied(tensor, values.length);
        if (tensor.getInt32DataCount() > 0) {
            LongStream.of(values).forEach(v -> out.addInt32Data((int) v));
            return out.build();
        }
        int size = ElementType.ofOnnxCode(tensor.getDataType()).orElseThrow().bytes();
        ByteBuffer bytes = ByteBuffer.allocate(values.length * size).order(ByteOrder.LITTLE_ENDIAN);
        for (long value : values) {
            switch (size) {
                case 1 -> bytes.put((byte) value);
                case 2 -> bytes.putShort((short) value);
                default -> bytes.putInt((int) value);
            }
        }
        return out.setRawData(ByteString.copyFrom(bytes.flip())).build();
    }

    private static TensorProto.Builder emptied(TensorProto tensor, int values) {
        TensorProto.Builder out = tensor.toBuilder()
                .clearRawData()
                .clearFloatData()
                .clearInt32Data()
                .clearDataLocation()
                .clearExternalData();
        long old = tensor.getDimsList().stream().mapToLong(Long::longValue).reduce(1, Math::multiplyExact);
        return old == values ? out : out.clearDims().addAllDims(List.of((long) values));
    }

    /** A tensor of zeros, shape [n], to be filled by {@code with}. */
    static TensorProto blank(String name, TensorProto.DataType type, int n) {
        return TensorProto.newBuilder()
                .setName(name)
                .setDataType(type.getNumber())
                .addDims(n)
                .build();
    }
}
