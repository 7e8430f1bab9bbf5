/**
 * What corrections follow from: sums of errors ({@code CpuErrorSums}), of a layer's input by class of taps
 * ({@code CpuClassSums}), Gram matrices of its input ({@code CpuGram}, {@code CpuJointGram}) and second moments of its
 * unfolded input ({@code CpuUnfoldedSums}), with the loops and products that add them up.
 */
package dev.rebias.device.cpu.sums;
