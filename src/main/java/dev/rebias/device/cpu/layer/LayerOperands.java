package dev.rebias.device.cpu.layer;

import dev.rebias.device.Operand;
import dev.rebias.device.cpu.memory.CpuTensor;
import dev.rebias.op.Convolution;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerOp;
import dev.rebias.op.Op;
import dev.rebias.op.TransposedConvolution;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.Optional;

/**
 * What a layer is computed from.
 *
 * @param dataType UINT8 or INT8; else the data are floats
 * @param zero for data of 8-bit integers their zero point
 * @param scale what the sum is multiplied by, [channels]
 * @param bias what is added to that, [channels]
 */
public record LayerOperands(
        LayerOp op,
        HostTensor weights,
        Optional<ElementType> dataType,
        Optional<Long> zero,
        Optional<HostTensor> scale,
        Optional<HostTensor> bias) {

    public static LayerOperands of(Op op, List<Operand> operands) {
        HostTensor weights = constant(operands, 1).orElseThrow();
        if (op instanceof IntegerLayer layer && layer.dataType() == ElementType.FLOAT) {
            return new LayerOperands(
                    layer.op(), weights, Optional.empty(), Optional.empty(), constant(operands, 2), Optional.empty());
        }
        if (op instanceof IntegerLayer layer) {
            return new LayerOperands(
                    layer.op(),
                    weights,
                    Optional.of(layer.dataType()),
                    Optional.of(layer.zero()),
                    constant(operands, 2),
                    Optional.empty());
        }
        return new LayerOperands(
                (LayerOp) op, weights, Optional.empty(), Optional.empty(), Optional.empty(), constant(operands, 2));
    }

    private static Optional<HostTensor> constant(List<Operand> operands, int i) {
        return i < operands.size() && operands.get(i) instanceof Operand.Constant c
                ? Optional.of(c.value())
                : Optional.empty();
    }

    /** Whether data and weights are 8-bit integers, of a layer that oneDNN gets right with them. */
    boolean areBytes() {
        if (dataType.isEmpty() || op instanceof TransposedConvolution || hasSingleInputs()) {
            return false;
        }
        FloatBuffer w = weights.floats();
        while (w.hasRemaining()) {
            float v = w.get();
            if (v != (byte) v) {
                return false;
            }
        }
        return true;
    }

    /**
     * Whether it is a convolution, but not a depthwise one, of groups with one input channel each: there oneDNN 3.11
     * may leave out products at the edges, with bytes and with floats.
     */
    boolean hasSingleInputs() {
        long[] shape = weights.shape();
        return op instanceof Convolution c && shape[1] == 1 && (c.group() == 1 || shape[0] != c.group());
    }

    /**
     * Whether a tensor is of the floats or the 8-bit integers that the layer works on, as such, and what follows can be
     * its primitive's post-ops: there a bias comes before the scale of floats.
     */
    boolean mayHavePostOps(CpuTensor data) {
        return data.type() == dataType.orElse(ElementType.FLOAT) && (dataType.isPresent() || scale.isEmpty());
    }

    long[] outputShape(long[] data) {
        return op.outputShape(data, weights.shape());
    }

    /** For messages. */
    String text(long[] data) {
        return op.type() + " with weights " + Shape.text(weights.shape()) + " on data of shape " + Shape.text(data);
    }
}
