package dev.rebias.op;

/**
 * A layer on quantised data, and behind it a group of elementwise operations, where nothing else wants the layer's output: a device may make both in one pass over memory.
 *
 * <p>Operands: the group's, with the layer's data in the place of its output; then the layer's weights and scale.
 *
 * @param place the number of the group's operand that is the layer's output
 */
public record LayerGroup(IntegerLayer layer, ElementwiseGroup group, int place) implements Op {
    @Override
    public String type() {
        return layer.type();
    }
}
