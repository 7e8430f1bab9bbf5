/**
 * The CPU device: tensors in host memory, channels last between layers; convolutions, products and pooling by oneDNN, one sample at a time, quantised layers as bytes, a batch at a time, where the
 * processor multiplies such, and what follows them elementwise ({@code Chain}), in the same primitive where nothing else wants their output ({@code PreparedLayerGroup}); other elementwise groups and error moments in Java loops; the errors of pointwise layers from the second moments of their inputs ({@code CpuInputSquares}, in the reference {@code network} {@code CpuJointSquares}); every other operation
 * an ONNX Runtime session of one node. Several threads work on batches of their own, and share {@code Primitives}.
 */
package dev.rebias.device.cpu;
