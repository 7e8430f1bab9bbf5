package dev.rebias.device;

import dev.rebias.op.LayerOp;
import dev.rebias.tensor.ElementType;
import java.util.Optional;

/**
 * By how much a layer's weights are off, and what they should be.
 *
 * @param op the layer's operation
 * @param shape the weights' shape
 * @param difference W_f - W_q, row-major; where the data are integers, times the data's scale
 * @param reference W_f, in the same way
 * @param dataType UINT8 or INT8 where the data are integers, else empty
 * @param scale of data that are integers or stand for such, else 1
 * @param zero their zero point, else 0
 */
public record WeightError(
        LayerOp op,
        long[] shape,
        double[] difference,
        double[] reference,
        Optional<ElementType> dataType,
        double scale,
        long zero) {}
