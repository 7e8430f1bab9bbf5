/**
 * The CPU device: tensors in host memory, in NHWC order between layers. oneDNN runs convolutions, products and pooling,
 * one sample at a time; int8 layers a batch at a time where the processor has int8 instructions (VNNI). Elementwise
 * operations after a layer are fused into it if nothing else reads its output. Every other operation is an ONNX Runtime
 * session of one node. Several threads work on batches of their own, and share primitives.
 *
 * <p>Other packages see only {@code CpuDevice}. Its parts are in {@code memory}, {@code onednn}, {@code elementwise},
 * {@code layer}, {@code nodes} and {@code sums}. Each uses only those before it in this list; {@code nodes} and
 * {@code sums} do not use {@code layer}.
 */
package dev.rebias.device.cpu;
