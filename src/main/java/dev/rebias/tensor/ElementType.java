package dev.rebias.tensor;

import java.util.Arrays;
import java.util.Optional;

/**
 * The element types that rebias moves about, with their codes in ONNX ({@code TensorProto.DataType}) and their sizes.
 */
public enum ElementType {
    FLOAT(1, 4),
    UINT8(2, 1),
    INT8(3, 1),
    UINT16(4, 2),
    INT16(5, 2),
    INT32(6, 4),
    INT64(7, 8),
    BOOL(9, 1),
    FLOAT16(10, 2),
    DOUBLE(11, 8),
    UINT32(12, 4),
    UINT64(13, 8),
    BFLOAT16(16, 2);

    private final int onnxCode;
    private final int bytes;

    ElementType(int onnxCode, int bytes) {
        this.onnxCode = onnxCode;
        this.bytes = bytes;
    }

    /** The value of this type in ONNX's {@code TensorProto.DataType}. */
    public int onnxCode() {
        return onnxCode;
    }

    /** The size of one element in bytes. */
    public int bytes() {
        return bytes;
    }

    /**
     * The smallest value of an integer type of up to 32 bits.
     *
     * @throws IllegalStateException for other types
     */
    public long lowest() {
        return switch (this) {
            case INT8 -> Byte.MIN_VALUE;
            case INT16 -> Short.MIN_VALUE;
            case INT32 -> Integer.MIN_VALUE;
            case UINT8, UINT16, UINT32 -> 0;
            default -> throw new IllegalStateException(this + " is no integer type of up to 32 bits");
        };
    }

    /** The largest value of an integer type of up to 32 bits. Throws as {@link #lowest} does. */
    public long highest() {
        return lowest() + (1L << (8 * bytes)) - 1;
    }

    /** The type with that code, or empty for one that rebias does not handle (strings, 4-bit and 8-bit floats). */
    public static Optional<ElementType> ofOnnxCode(int code) {
        return Arrays.stream(values()).filter(t -> t.onnxCode == code).findFirst();
    }
}
