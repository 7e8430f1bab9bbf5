/**
 * The CPU device: tensors in host memory, channels last between layers; convolutions, products and pooling by oneDNN, one sample at a time, quantised layers as bytes, a batch at a time, where the
 * processor multiplies such, and what follows them elementwise ({@code Chain}), in the same primitive where nothing else wants their output ({@code PreparedLayerGroup}); other elementwise groups and sums of errors in Java loops; Gram matrices of pointwise layers' inputs as products of bytes ({@code CpuGram}, for both networks' inputs {@code CpuJointGram}); every other operation
 * an ONNX Runtime session of one node. Several threads work on batches of their own, and share {@code Primitives}.
 */
package dev.rebias.device.cpu;
