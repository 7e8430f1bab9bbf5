/**
 * The CPU device: tensors in host memory, every operation an ONNX Runtime session of one node, error moments in plain Java loops that use
 * all cores.
 */
package dev.rebias.device.cpu;
