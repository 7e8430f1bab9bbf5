/**
 * The sweep: one pass through both networks, layer after layer, all samples. {@link dev.rebias.sweep.Planner} turns two
 * graphs and their layer pairs into a {@link dev.rebias.sweep.Plan}: steps in segments and barriers between them;
 * {@code Measuring} chooses by which sums each layer is measured, {@code LayerSteps} makes the steps of layers,
 * {@code Liveness} removes steps that nothing needs and finds the last use of every tensor, {@code Fusion} joins
 * elementwise steps, and {@code LayerSizes} tells how large tensors are, which decides the batch size.
 * {@link dev.rebias.sweep.Sweep} runs a plan on a device, each segment as a {@code PreparedSegment} of
 * {@code PreparedStep}s, which {@code Segments} prepares while the last batches of the one before run; {@code Workers}
 * share out the batches. {@code Corrections} holds what is measured of each layer and makes its correction at the
 * barrier, as {@link dev.rebias.sweep.CorrectionSpec} says. What is stored at a barrier is the {@code Frontier}, which
 * spills beyond a limit to a {@code SpillFile} with a thread of its own. {@link dev.rebias.sweep.Footprint} says what
 * memory a sweep takes, {@link dev.rebias.sweep.Profile} where its time went.
 */
package dev.rebias.sweep;
