/**
 * What an operation means: one record per operation that rebias gives a meaning of its own, parsed once from an ONNX node's
 * attributes, with its shape rules. {@link dev.rebias.op.LayerOp} are the operations that have weights, and so a bias to correct, and
 * {@link dev.rebias.op.IntegerLayer} is one of them on quantised data; an {@link dev.rebias.op.ElementwiseGroup} is what a device does in one pass, a {@link dev.rebias.op.LayerGroup} a layer and the group behind it; everything else is an {@link dev.rebias.op.OnnxOp}, which carries its node as it stands. Op names and attribute semantics are those
 * of the ONNX operator specification, opset 7 and newer.
 */
package dev.rebias.op;
