/**
 * oneDNN: how a primitive is described ({@code PrimitiveSpec}), made once for all that need the same one
 * ({@code Primitives}) and executed ({@code Primitive}); reorders from one layout to another ({@code Layouts}), plain
 * products of matrices ({@code Products}); what a thread needs for that ({@code ThreadScratch}), and what everything on
 * one device shares ({@code CpuContext}).
 */
package dev.rebias.device.cpu.onednn;
