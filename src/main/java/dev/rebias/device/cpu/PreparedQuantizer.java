package dev.rebias.device.cpu;

import ai.onnxruntime.OrtException;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.OnnxOp;
import dev.rebias.runtime.OnnxRuntime;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * QuantizeLinear with one scale to UINT8 or INT8: {@code saturate(round(x / scale) + zero)}, rounding half to even (ONNX operator
 * specification). The quotient is taken in double precision: pixels that were scaled to floats often lie half way between two steps, where the
 * rounding of a float32 quotient, not its value, would decide for whole areas of an image.
 */
final class PreparedQuantizer implements PreparedOp {
    private static final int BLOCK = 1 << 14;

    private final MemoryUse memory;
    private final ElementType type;
    private final double scale;
    private final double zero;

    private PreparedQuantizer(MemoryUse memory, ElementType type, double scale, double zero) {
        this.memory = memory;
        this.type = type;
        this.scale = scale;
        this.zero = zero;
    }

    /** The quantiser, if the node is one of this kind: its scale and zero point constant, FLOAT in. */
    static Optional<PreparedOp> of(MemoryUse memory, OnnxOp op, List<Operand> operands) {
        if (!op.type().equals("QuantizeLinear")
                || !op.node().getDomain().isEmpty()
                || operands.size() < 3
                || !(operands.get(1) instanceof Operand.Constant scale)
                || !(operands.get(2) instanceof Operand.Constant zero)) {
            return Optional.empty();
        }
        HostTensor s = scale.value();
        HostTensor z = zero.value();
        if (s.type() != ElementType.FLOAT
                || s.elements() != 1
                || z.elements() != 1
                || !(z.type() == ElementType.UINT8 || z.type() == ElementType.INT8)) {
            return Optional.empty();
        }
        byte bits = z.bytes().get(0);
        return Optional.of(new PreparedQuantizer(
                memory, z.type(), s.floats().get(0), z.type() == ElementType.UINT8 ? Byte.toUnsignedInt(bits) : bits));
    }

    @Override
    public List<Tensor> run(List<Tensor> variables) {
        CpuTensor x = (CpuTensor) variables.get(0);
        FloatBuffer from = x.floats();
        HostTensor storage = HostTensor.zeros(type, x.shape());
        ByteBuffer to = storage.bytes();
        int n = to.capacity();
        double low = type == ElementType.UINT8 ? 0 : Byte.MIN_VALUE;
        double high = type == ElementType.UINT8 ? 255 : Byte.MAX_VALUE;
        IntStream.range(0, (n + BLOCK - 1) / BLOCK).parallel().forEach(block -> {
            int size = Math.min(BLOCK, n - block * BLOCK);
            float[] values = new float[size];
            byte[] quantized = new byte[size];
            from.get(block * BLOCK, values);
            for (int i = 0; i < size; i++) {
                double q = Math.rint(values[i] / scale) + zero;
                quantized[i] = (byte) (int) Math.max(low, Math.min(high, q));
            }
            to.put(block * BLOCK, quantized);
        });
        try {
            return List.of(new CpuTensor(memory, type, OnnxRuntime.view(storage), Optional.of(storage)));
        } catch (OrtException e) {
            throw new UnsupportedException(
                    "QuantizeLinear's result " + storage + " cannot be given to ONNX Runtime: " + OnnxRuntime.reason(e),
                    e);
        }
    }

    @Override
    public void close() {
        // Nothing is held.
    }
}
