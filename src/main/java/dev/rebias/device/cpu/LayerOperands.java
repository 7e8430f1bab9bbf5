package dev.rebias.device.cpu;

import dev.rebias.device.Operand;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerOp;
import dev.rebias.op.Op;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.List;
import java.util.Optional;

/**
 * What a layer is computed from.
 *
 * @param zero for data of 8-bit integers their zero point; else the data are floats
 * @param scale what the sum is multiplied by, [channels]
 * @param bias what is added to that, [channels]
 */
record LayerOperands(
        LayerOp op, HostTensor weights, Optional<Long> zero, Optional<HostTensor> scale, Optional<HostTensor> bias) {

    static LayerOperands of(Op op, List<Operand> operands) {
        HostTensor weights = constant(operands, 1).orElseThrow();
        if (op instanceof IntegerLayer layer) {
            return new LayerOperands(
                    layer.op(), weights, Optional.of(layer.zero()), constant(operands, 2), Optional.empty());
        }
        return new LayerOperands((LayerOp) op, weights, Optional.empty(), Optional.empty(), constant(operands, 2));
    }

    private static Optional<HostTensor> constant(List<Operand> operands, int i) {
        return i < operands.size() && operands.get(i) instanceof Operand.Constant c
                ? Optional.of(c.value())
                : Optional.empty();
    }

    /** For messages. */
    String text(long[] data) {
        return op.type() + " with weights " + Shape.text(weights.shape()) + " on data of shape " + Shape.text(data);
    }
}
