/**
 * All other operations: views, pooling, Concat and Resize in ways of their own, where that is faster, the rest as ONNX
 * Runtime's sessions of one node each ({@code PreparedNode}).
 */
package dev.rebias.device.cpu.nodes;
