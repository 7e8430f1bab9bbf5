/**
 * The CPU device: tensors in host memory, in NHWC order between layers. oneDNN runs convolutions, products and pooling,
 * one sample at a time; int8 layers a batch at a time where the processor has int8 instructions (VNNI). Elementwise
 * operations after a layer are fused into it ({@code FusedLayer}) if nothing else reads its output, else run as a
 * {@code Chain}. Other elementwise groups are Java loops, and so are the sums of errors ({@code CpuErrorSums}) and of
 * inputs by class of taps ({@code CpuClassSums}). Gram matrices are int8 products ({@code CpuGram},
 * {@code CpuJointGram}), second moments of unfolded inputs products of floats that are exact for integers
 * ({@code CpuUnfoldedSums}). Every other operation is an ONNX Runtime session of one node. Several threads work on
 * batches of their own, and share {@code Primitives}.
 */
package dev.rebias.device.cpu;
