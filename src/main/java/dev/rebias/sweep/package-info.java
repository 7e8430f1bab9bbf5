/**
 * The sweep: one pass through both networks, layer after layer, all samples (DESIGN.md section 4). {@link dev.rebias.sweep.Planner} turns two
 * graphs and their layer pairs into a {@link dev.rebias.sweep.Plan}: steps in segments, barriers between them, and when each tensor is used
 * last. {@link dev.rebias.sweep.Sweep} runs a plan on a device.
 */
package dev.rebias.sweep;
