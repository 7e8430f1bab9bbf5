/**
 * The CPU device: tensors in host memory, in NHWC order between layers. oneDNN runs convolutions, products and pooling,
 * one sample at a time; int8 layers a batch at a time where the processor has int8 instructions (VNNI). Elementwise
 * operations after a layer are fused into it ({@code PreparedLayerGroup}) if nothing else reads its output, else run as
 * a {@code Chain}. Other elementwise groups and error sums are Java loops; Gram matrices are int8 products
 * ({@code CpuGram}, {@code CpuJointGram}); every other operation is an ONNX Runtime session of one node. Several
 * threads work on batches of their own, and share {@code Primitives}.
 */
package dev.rebias.device.cpu;
