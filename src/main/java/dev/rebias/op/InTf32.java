package dev.rebias.op;

/**
 * A layer whose factors a device may round to TF32, 10 bits of fraction, before it multiplies them; sums stay float32.
 * Tensor cores multiply these, and no floats. A device that gains nothing by it computes the layer as it is.
 */
public record InTf32(LayerOp layer) implements Op {
    /** The same of a layer, or of a layer and the group behind it; of anything else, what it is. */
    public static Op of(Op op) {
        if (op instanceof LayerOp layer) {
            return new InTf32(layer);
        }
        return op instanceof LayerGroup g && g.layer() instanceof LayerOp layer
                ? new LayerGroup(new InTf32(layer), g.group(), g.place())
                : op;
    }

    /** An operation in true float32. */
    public static Op without(Op op) {
        if (op instanceof InTf32 rounded) {
            return rounded.layer();
        }
        return op instanceof LayerGroup g && g.layer() instanceof InTf32 rounded
                ? new LayerGroup(rounded.layer(), g.group(), g.place())
                : op;
    }

    @Override
    public String type() {
        return layer.type();
    }
}
