package dev.rebias.model;

import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnxruntime.platform.Fp16Conversions;
import com.google.protobuf.ByteString;
import dev.rebias.tensor.ElementType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.LongStream;

/** Values of FLOAT, FLOAT16 and integer tensors as a file stores them: raw_data (little endian) or the typed field. */
final class StoredTensor {
    private static final Set<ElementType> INTEGERS =
            Set.of(ElementType.INT8, ElementType.UINT8, ElementType.INT16, ElementType.UINT16, ElementType.INT32);

    private StoredTensor() {}

    /** The values of a FLOAT or FLOAT16 tensor. */
    static float[] floats(TensorProto tensor) {
        if (isHalf(tensor)) {
            short[] halves = halves(tensor);
            float[] out = new float[halves.length];
            for (int i = 0; i < out.length; i++) {
                out[i] = Fp16Conversions.fp16ToFloat(halves[i]);
            }
            return out;
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

    private static boolean isHalf(TensorProto tensor) {
        return tensor.getDataType() == ElementType.FLOAT16.onnxCode();
    }

    private static short[] halves(TensorProto tensor) {
        if (tensor.hasRawData()) {
            short[] out = new short[tensor.getRawData().size() / Short.BYTES];
            raw(tensor).asShortBuffer().get(out);
            return out;
        }
        short[] out = new short[tensor.getInt32DataCount()];
        for (int i = 0; i < out.length; i++) {
            out[i] = (short) tensor.getInt32Data(i);
        }
        return out;
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

    private static ByteBuffer raw(TensorProto tensor) {
        return tensor.getRawData().asReadOnlyByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
    }

    /** The tensor with other values, in the field that held the old ones; its shape becomes [n] where the number of values changes. */
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

    private static TensorProto withHalves(TensorProto tensor, float[] values) {
        long[] halves = new long[values.length];
        for (int i = 0; i < halves.length; i++) {
            halves[i] = Fp16Conversions.floatToFp16(values[i]) & 0xffff;
        }
        return with(tensor, halves);
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
