package dev.rebias.model;

import dev.rebias.op.BiasGrid;

/** Where a layer's bias is, or goes, in the file of the quantised model. */
sealed interface BiasSite {
    /** The position in the file of the node that uses it. */
    int node();

    /** Its position among that node's inputs; -1 where the node has no input for it. */
    default int input() {
        return -1;
    }

    /** The values that the bias can take there. */
    BiasGrid grid();

    /** There is none: it is created; as int32 where the grid has steps. */
    record Absent(int node, int input, BiasGrid grid) implements BiasSite {}

    /** A FLOAT or FLOAT16 tensor stored as it is. */
    record Stored(int node, int input, String tensor, BiasGrid grid) implements BiasSite {}

    /**
     * A tensor of integers, used by the node itself ({@code dequantizer} = -1) or through the DequantizeLinear at that
     * position.
     */
    record StoredIntegers(int node, int input, String tensor, int dequantizer, BiasGrid grid) implements BiasSite {}

    /** A FLOAT tensor that goes through the QuantizeLinear and the DequantizeLinear at those positions. */
    record Requantized(int node, int input, String tensor, int quantizer, int dequantizer, BiasGrid grid)
            implements BiasSite {}

    /** A constant expression: a stored bias takes its place. */
    record Computed(int node, int input, BiasGrid grid) implements BiasSite {}

    /** A MatMul without an Add: one is inserted behind it. */
    record NewAdd(int node, BiasGrid grid) implements BiasSite {}
}
