package dev.rebias.samples;

import dev.rebias.error.UsageException;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;

/**
 * How a quantised model's input of integers follows from floats: {@code q = round(x / scale) + zeroPoint}, halves to
 * even, within the type's range (QuantizeLinear of the ONNX operator specification).
 *
 * @param type UINT8 or INT8
 */
public record Quantization(ElementType type, float scale, int zeroPoint) {
    public Quantization {
        if (type != ElementType.UINT8 && type != ElementType.INT8) {
            throw new UsageException("floats cannot be quantised to " + type + ": UINT8 and INT8 are possible");
        }
    }

    /** The integers of a FLOAT tensor. */
    public HostTensor of(HostTensor floats) {
        int least = type == ElementType.UINT8 ? 0 : Byte.MIN_VALUE;
        HostTensor out = HostTensor.zeros(type, floats.shape());
        ByteBuffer to = out.bytes();
        FloatBuffer from = floats.floats();
        while (from.hasRemaining()) {
            double q = Math.rint(from.get() / scale) + zeroPoint;
            to.put((byte) Math.max(least, Math.min(least + 255, q)));
        }
        return out;
    }
}
