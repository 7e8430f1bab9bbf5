package dev.rebias.model;

import dev.rebias.tensor.ElementType;

/**
 * Where a layer's bias is, or goes, in the file of the quantised model.
 *
 * <p>{@code node} is the position in the file of the node that uses it, {@code input} the position among that node's inputs.
 */
sealed interface BiasSite {
    /** The size of one step per channel where the bias is stored as integers; empty where it is stored as floats. */
    default float[] steps() {
        return new float[0];
    }

    /** There is none: it is created; as int32 where there are steps. */
    record Absent(int node, int input, float[] steps) implements BiasSite {}

    /** A FLOAT tensor stored as it is. */
    record Stored(int node, int input, String tensor) implements BiasSite {}

    /** An INT32 tensor, used by the node itself ({@code dequantizer} = -1) or through the DequantizeLinear at that position. */
    record StoredInt32(int node, int input, String tensor, int dequantizer, float[] steps) implements BiasSite {}

    /** A tensor of INT8 or UINT8 that a QLinearAdd adds, in steps of that operand's scale. */
    record StoredBytes(int node, int input, String tensor, ElementType type, float[] steps) implements BiasSite {}

    /** A constant expression: a stored bias takes its place. */
    record Computed(int node, int input) implements BiasSite {}

    /** A MatMul without an Add: one is inserted behind it. */
    record NewAdd(int node) implements BiasSite {}
}
