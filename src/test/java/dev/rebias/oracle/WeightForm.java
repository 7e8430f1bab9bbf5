package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import com.google.protobuf.ByteString;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * How a file stores the weights of its layers.
 *
 * @param type of the integers
 * @param low the least integer that a quantiser uses
 * @param high the largest
 * @param asymmetric whether zero points follow from the weights' ranges; else they are 0, or in the middle
 * @param scales what shares a scale
 * @param place how the integers become weights
 * @param raw whether values lie in raw_data; else in the typed field
 */
record WeightForm(DataType type, int low, int high, boolean asymmetric, Scales scales, Place place, boolean raw) {
    enum Scales {
        TENSOR,
        CHANNEL,
        /** Blocks along the inputs of a layer, or along the channels of a depthwise one. */
        BLOCK
    }

    enum Place {
        /** A DequantizeLinear makes weights of stored integers. */
        DEQUANTIZED,
        /** A QuantizeLinear in front of it makes the integers of stored floats. */
        REQUANTIZED,
        /** Floats that were rounded, and no operator. */
        FLOATS,
        /** The layer's operator takes integers and their scale. */
        OPERATOR
    }

    /** Weights as they are stored: the integers, and for each the entry of its scale. */
    record Stored(int[] shape, int[] scaleShape, float[] scales, int[] zeros, int[] entries, int[] integers) {
        float[] rounded() {
            float[] out = new float[integers.length];
            for (int i = 0; i < out.length; i++) {
                out[i] = (integers[i] - zeros[entries[i]]) * scales[entries[i]];
            }
            return out;
        }
    }

    /** Rounds weights; their channels run along one axis, and blocks of so many along another. */
    Stored stored(float[] weights, int[] shape, int channelAxis, int blockAxis, int block) {
        int axis = scales == Scales.BLOCK ? blockAxis : channelAxis;
        int size = scales == Scales.BLOCK ? block : 1;
        int[] scaleShape =
                switch (scales) {
                    case TENSOR -> new int[0];
                    case CHANNEL -> new int[] {shape[axis]};
                    case BLOCK -> shape.clone();
                };
        if (scales == Scales.BLOCK) {
            scaleShape[axis] = (shape[axis] + size - 1) / size;
        }
        int inner = NaiveTensor.size(Arrays.copyOfRange(shape, axis + 1, shape.length));
        int[] entries = new int[weights.length];
        for (int i = 0; i < entries.length; i++) {
            int along = i / inner % shape[axis] / size;
            entries[i] = switch (scales) {
                case TENSOR -> 0;
                case CHANNEL -> along;
                case BLOCK -> (i / inner / shape[axis] * scaleShape[axis] + along) * inner + i % inner;
            };
        }
        int n = NaiveTensor.size(scaleShape);
        float[] least = new float[n];
        float[] most = new float[n];
        for (int i = 0; i < weights.length; i++) {
            least[entries[i]] = Math.min(least[entries[i]], weights[i]);
            most[entries[i]] = Math.max(most[entries[i]], weights[i]);
        }
        float[] steps = new float[n];
        int[] zeros = new int[n];
        int middle = low < 0 ? 0 : (low + high + 1) / 2;
        for (int e = 0; e < n; e++) {
            steps[e] =
                    asymmetric ? (most[e] - least[e]) / (high - low) : Math.max(most[e], -least[e]) / (high - middle);
            zeros[e] = asymmetric ? Math.round(low - least[e] / steps[e]) : middle;
        }
        int[] integers = new int[weights.length];
        for (int i = 0; i < integers.length; i++) {
            integers[i] =
                    Math.max(low, Math.min(high, (int) Math.rint(weights[i] / steps[entries[i]]) + zeros[entries[i]]));
        }
        return new Stored(shape, scaleShape, steps, zeros, entries, integers);
    }

    /** A tensor of integers of this form's type. */
    TensorProto integers(String name, int[] shape, int[] values) {
        TensorProto.Builder t = TensorProto.newBuilder().setName(name).setDataType(type.getNumber());
        Arrays.stream(shape).forEach(t::addDims);
        boolean nibbles = type == DataType.INT4 || type == DataType.UINT4;
        byte[] bytes = new byte[nibbles ? (values.length + 1) / 2 : values.length];
        for (int i = 0; i < values.length; i++) {
            if (nibbles) {
                bytes[i / 2] |= (byte) ((values[i] & 15) << (4 * (i % 2)));
            } else {
                bytes[i] = (byte) values[i];
            }
        }
        if (raw) {
            return t.setRawData(ByteString.copyFrom(bytes)).build();
        }
        for (byte b : bytes) {
            t.addInt32Data(nibbles || type == DataType.UINT8 ? Byte.toUnsignedInt(b) : b);
        }
        return t.build();
    }

    /** A tensor of floats. */
    TensorProto floats(String name, int[] shape, float[] values) {
        TensorProto.Builder t = TensorProto.newBuilder().setName(name).setDataType(DataType.FLOAT.getNumber());
        Arrays.stream(shape).forEach(t::addDims);
        if (!raw) {
            for (float v : values) {
                t.addFloatData(v);
            }
            return t.build();
        }
        ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        return t.setRawData(ByteString.copyFrom(bytes)).build();
    }

    /** The integers that a tensor of such weights stands for; of floats those that lie nearest, and they lie near. */
    int[] integers(TensorProto tensor, Stored stored) {
        int[] out = new int[stored.integers().length];
        boolean nibbles =
                tensor.getDataType() == DataType.INT4.getNumber() || tensor.getDataType() == DataType.UINT4.getNumber();
        for (int i = 0; i < out.length; i++) {
            if (tensor.getDataType() == DataType.FLOAT.getNumber()) {
                int e = stored.entries()[i];
                float value = tensor.hasRawData()
                        ? tensor.getRawData()
                                .asReadOnlyByteBuffer()
                                .order(ByteOrder.LITTLE_ENDIAN)
                                .getFloat(4 * i)
                        : tensor.getFloatData(i);
                double multiple = (double) value / stored.scales()[e];
                if (place == Place.FLOATS && Math.abs(multiple - Math.rint(multiple)) > 1e-4) {
                    throw new AssertionError(
                            "weight " + i + " of '" + tensor.getName() + "' is off its grid: " + multiple);
                }
                int integer = (int) Math.rint(multiple) + stored.zeros()[e];
                // The file's own quantiser keeps to the type.
                out[i] = place == Place.FLOATS
                        ? integer
                        : Math.max(low < 0 ? -128 : 0, Math.min(low < 0 ? 127 : 255, integer));
                continue;
            }
            int at = nibbles ? i / 2 : i;
            int held = tensor.hasRawData() ? tensor.getRawData().byteAt(at) : tensor.getInt32Data(at);
            int value = nibbles ? (held >> (4 * (i % 2))) & 15 : held & 255;
            int signedFrom = nibbles ? 8 : 128;
            out[i] = low < 0 && value >= signedFrom ? value - 2 * signedFrom : value;
        }
        return out;
    }
}
