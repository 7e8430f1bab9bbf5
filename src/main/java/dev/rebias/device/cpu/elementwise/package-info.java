/**
 * Groups of elementwise operations: how their inputs lie in memory ({@code ElementwiseForm}), their steps as oneDNN's
 * post-ops ({@code PostOps}), which a {@code Chain} of binary primitives executes, or else Java loops, a tile at a time
 * ({@code ElementwisePass}, {@code ElementLoops}).
 */
package dev.rebias.device.cpu.elementwise;
