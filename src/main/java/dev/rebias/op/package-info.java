/**
 * What an operation means: one record per operation that rebias interprets itself, parsed once from an ONNX node's
 * attributes, with its shape rules. {@link dev.rebias.op.LayerOp} has weights and a bias;
 * {@link dev.rebias.op.IntegerLayer} is a LayerOp on integer data; {@link dev.rebias.op.ElementwiseGroup} and
 * {@link dev.rebias.op.LayerGroup} are fused operations. All others are {@link dev.rebias.op.OnnxOp}: the unchanged
 * node. Op names and attribute semantics are those of the ONNX operator specification, opset 7 and newer.
 */
package dev.rebias.op;
