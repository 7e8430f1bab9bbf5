package dev.rebias.op;

import dev.rebias.tensor.ElementType;

/**
 * A layer's operation on quantised data and weights, as an integer engine computes it: {@code y = op(q - zero, steps) *
 * scale[c]}. The sum is one of integers, so any engine gives the same, while sums of dequantised values depend on the
 * order in which they are added; and where an image is flat, a last bit on the rounding boundary of the next quantiser
 * moves thousands of activations together.
 *
 * <p>Operands: q ([..] of {@code dataType}), the weights' integers as FLOAT, scale [channels]. It has no bias. Without
 * a scale it is 1; the weights then need be no integers, as in the error of such a layer, which is computed from the
 * same data.
 *
 * @param op the operation
 * @param dataType UINT8 or INT8; or FLOAT, of integers that are sums themselves
 * @param zero the data's zero point; 0 for FLOAT
 */
public record IntegerLayer(LayerOp op, ElementType dataType, long zero) implements Op {
    /** Up to this, FLOAT holds every integer. */
    public static final double EXACT = 1 << 24;

    @Override
    public String type() {
        return op.type();
    }
}
