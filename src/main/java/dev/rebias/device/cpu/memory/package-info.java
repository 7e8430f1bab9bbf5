/**
 * The CPU device's tensors and the memory that they lie in, and in which order: {@code CpuTensor}, {@code HostMemory},
 * {@code Layout}.
 */
package dev.rebias.device.cpu.memory;
