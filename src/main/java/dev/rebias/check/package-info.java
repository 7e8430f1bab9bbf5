/**
 * What {@code rebias gpu-check} does: steps that try a card, each in a process of its own with a share of the time
 * there is, and the summary that is made of what they leave behind. {@link dev.rebias.check.Step} lists them,
 * {@link dev.rebias.check.GpuCheck} runs them, {@link dev.rebias.check.Findings} is what one leaves,
 * {@link dev.rebias.check.Summary} puts them together.
 */
package dev.rebias.check;
