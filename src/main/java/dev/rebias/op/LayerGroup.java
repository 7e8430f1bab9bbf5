package dev.rebias.op;

/**
 * A layer, and behind it a group of elementwise operations, where nothing else wants the layer's output: a device may
 * make both in one pass over memory.
 *
 * <p>Operands: the group's, with the layer's data in the place of its output; then the layer's weights, and its scale
 * or bias.
 *
 * @param layer a {@link LayerOp}, {@link InTf32} or not, or an {@link IntegerLayer}
 * @param place the number of the group's operand that is the layer's output
 */
public record LayerGroup(Op layer, ElementwiseGroup group, int place) implements Op {
    public LayerGroup {
        if (!(layer instanceof LayerOp || layer instanceof IntegerLayer || layer instanceof InTf32)) {
            throw new IllegalArgumentException(layer.type() + " is no layer");
        }
    }

    @Override
    public String type() {
        return layer.type();
    }
}
