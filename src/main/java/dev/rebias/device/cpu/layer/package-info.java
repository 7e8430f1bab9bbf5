/**
 * Convolutions, transposed convolutions, Gemm and MatMul as primitives of oneDNN, and with the elementwise operations
 * after them as post-ops of the same primitive ({@code FusedLayer}).
 */
package dev.rebias.device.cpu.layer;
