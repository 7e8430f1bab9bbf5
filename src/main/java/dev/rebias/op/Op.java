package dev.rebias.op;

/** An operation with its attributes, without its inputs' values: what a device prepares once and runs many times. */
public sealed interface Op permits LayerOp, InTf32, IntegerLayer, LayerGroup, ElementwiseGroup, OnnxOp {
    /** The ONNX op type, for messages and reports. */
    String type();
}
